"""Which run a run is: all that its numbers depend on, in one digest that names its folder."""

from __future__ import annotations

import glob
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmbench import progress
from lmbench.config.earlier import upgraded
from lmbench.config.fitting import named_in
from lmbench.config.model import RunConfig, digest_of
from lmbench.config.resolving import config_of
from lmbench.errors import DataError, LmbenchError
from lmbench.plugins.loading import Plugins, get_plugins
from lmbench.results.reading import read_record
from lmbench.results.record import HEADS, PREDICTIONS, RECORD, earlier_run_name, run_name
from lmbench.store import manifests
from lmbench.store.files import clear_drafts, free, read_json, write_json

IDENTITY, FROZEN = "identity.json", "frozen"

Identity = dict[str, Any]


def components_of(config: RunConfig, plugins: Plugins, metrics: list[str]) -> list[dict[str, str]]:
    """Who answers for each part of a run: kind, name, distribution and version, as records state it."""
    used = [("method", config.method), ("dataset", config.dataset), *(("task", t) for t in config.tasks)]
    used += [("backbone", config.network.backbone)] if config.network else []
    used += [("objective", s.objective) for s in config.stages.values()]
    used += [("dataset", config.pretrain_on)] if config.pretrain_on else []
    used += [(part.kind, part.name) for settings in config.settings.values() for part in named_in(settings)]
    used += [("metric", name) for name in metrics]
    return [plugins.find(kind, name).identity() for kind, name in dict.fromkeys(used)]


def identity_of(
    config: RunConfig,
    plugins: Plugins,
    data: str,
    pretraining: str | None,
    keys: Mapping[str, str],
    files: Mapping[str, str],
    precision: str,
    device_class: str,
) -> Identity:
    """All that decides a run's numbers: settings, fingerprints of its data, stages, versions, and how it is computed.

    ``data`` and ``pretraining`` are fingerprints, ``keys`` the addresses of its stages, ``files`` the digests of weights
    that its settings name.
    """
    spec = plugins.find("dataset", config.dataset).spec
    metrics = [m for task in config.tasks for m in plugins.find("task", task).spec.metrics]
    components = components_of(config, plugins, [*metrics, *spec.metrics])
    return {
        "config": _settings(config),
        "precision": precision,
        "device": device_class,
        "data": data,
        "pretraining": pretraining,
        "components": {f"{c['kind']} {c['name']}": f"{c['distribution']} {c['version']}" for c in components},
        "files": dict(files),
        "stages": dict(keys),
    }


def folder_of(runs: Path, config: RunConfig, dataset: str, identity: Identity) -> Path:
    """Where a run stands: a readable name, told apart by the digest of its identity."""
    named = config.method, config.output, dataset, config.preset, config.seed, digest_of(identity)
    earlier = runs / earlier_run_name(*named)
    return earlier if earlier.is_dir() else runs / run_name(*named)


def differences(then: Identity, now: Identity) -> str:
    """In what a run is another than one before, in words."""
    words = {
        "data": "other data",
        "pretraining": "other pretraining images",
        "precision": "another precision",
        "device": "another kind of device",
        "components": "other versions of its parts",
        "files": "other weights in the files that its settings name",
        "stages": "other stages",
    }
    found = [name for name in words if then.get(name) != now[name]]
    if set(found) - {"stages"}:  # which follow from the others
        found = [name for name in found if name != "stages"]
    told = []
    for name in found:
        detail = f" ({_short(then.get(name))} then, {_short(now[name])} now)" if isinstance(now[name], str) else ""
        if name == "components":
            old = then.get(name) or {}
            changed = [f"{k}: {old.get(k)} then, {v} now" for k, v in now[name].items() if old.get(k) != v]
            detail = f" ({'; '.join(changed[:3])})"
        told.append(words[name] + detail)
    return " and ".join(told) or "other settings"


def earlier(folder: Path, config: RunConfig, identity: Identity) -> Iterator[tuple[Path, str]]:
    """(folder, why it is another) of the runs that the same command began before, the newest first."""
    named = config.method, config.output, config.dataset, config.preset, config.seed
    whole = run_name(*named, "")
    prefixes = {folder.name.rpartition("_")[0] + "_", earlier_run_name(*named, ""), whole}  # all but the digest
    patterns = {glob.escape(prefix) for prefix in prefixes}
    if config.partial:  # the counts of a part stand in the name, and there may have been fewer then, or more
        method, variant, dataset, *rest = whole.split("_")
        patterns.add("_".join((method, variant, f"{dataset}-partial-*", *rest)))
    found = {p for pattern in patterns for p in folder.parent.glob(f"{pattern}*")}
    beside = [p for p in found if p != folder and p.is_dir()]
    for place in sorted(beside, key=lambda p: (-p.stat().st_mtime, p.name)):
        then = _identity_in(place, config)
        if then is not None and then.get("config") == identity["config"] and then != identity:
            yield place, differences(then, identity)


def begin(folder: Path, identity: Identity, weights: Mapping[str, str] | None = None) -> None:
    """Notes what a run's folder is about to be filled from, and clears it of all that was made from something else.

    ``weights``: the digests of its stages' weights, once they are there: those of a stage that was trained anew may be
    others, and what was made from the old ones is not mixed with what comes. The run's lock is held.
    """
    for place in (folder, folder / PREDICTIONS, folder / HEADS, folder / FROZEN):
        clear_drafts(place)
    places = (folder / PREDICTIONS, folder / HEADS, folder / FROZEN)
    made = any(p.is_dir() and any(p.iterdir()) for p in places)
    then: Any = None
    if (folder / IDENTITY).exists():
        try:
            then = read_json(folder / IDENTITY)
        except LmbenchError:
            then = {}
    before = then.get("weights") if isinstance(then, dict) else None
    same = isinstance(then, dict) and then.get("identity") == identity
    same = same and (weights is None or before == weights)
    if made and not same:
        progress.say(f"{folder.name}: what was measured before was made from other weights or data; it is made anew")
        discard(folder)
    write_json(folder / IDENTITY, {"identity": identity, "weights": weights or (before if same else None)})


def check_head(folder: Path, name: str) -> None:
    """Raises DataError where the head behind predictions of that name, if there is one, is damaged."""
    heads, file = folder / HEADS, f"{name}.safetensors"
    there = (heads / file).exists() or file in manifests.listed(heads)
    wrong = manifests.damage(heads, file) if there else None
    if wrong is not None:
        raise DataError(f"{heads} is damaged: {wrong}.")


def discard(folder: Path) -> None:
    """Removes what an unfinished run has measured so far."""
    for name in (PREDICTIONS, HEADS, FROZEN):
        shutil.rmtree(folder / name, ignore_errors=True)


def clear_scratch(folder: Path) -> None:
    """Removes the frozen maps of a run that nobody goes on with, unless somebody is at it."""
    if (folder / FROZEN).is_dir():
        with free(folder / "run") as abandoned:
            if abandoned:
                shutil.rmtree(folder / FROZEN, ignore_errors=True)


def _settings(config: RunConfig) -> str:
    """The digest of the settings but for the precision, which stands resolved beside them."""
    return digest_of({name: value for name, value in config.dump().items() if name != "precision"})


def _identity_in(place: Path, config: RunConfig) -> Identity | None:
    """What a run's folder was filled from; of records of earlier versions, as far as they say it."""
    try:
        record = read_record(place / RECORD) if (place / RECORD).is_file() else None
        if (record is None or record.schema > 1) and (place / IDENTITY).is_file():
            found = json.loads((place / IDENTITY).read_text(encoding="utf-8"))["identity"]
            return found if isinstance(found, dict) else None
        if record is None:
            return None
        then = config_of(get_plugins(), upgraded(record.config, record.schema))
        if _settings(then) != _settings(config):
            return None
        return {
            "config": _settings(config),
            "precision": record.environment.get("precision"),
            "device": str(record.environment.get("device", "")).partition(":")[0],
            "data": record.data.fingerprint,
            "pretraining": record.data.pretraining_fingerprint,
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, LmbenchError):
        return None


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] if len(text) == 64 else text
