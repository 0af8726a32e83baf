"""One run, top to bottom: data, stages, FREEZE, frozen maps, tasks, metrics, record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lmbench import progress
from lmbench.config.object_scale import object_scales, unequal_scales
from lmbench.data.places import cache_root
from lmbench.errors import ChangedError, StaleError
from lmbench.freezing import check_stages, freeze, train_stages
from lmbench.job import Job, place_of
from lmbench.references import FOLDER as REFERENCES
from lmbench.references import references
from lmbench.report.drawing import draw_run
from lmbench.results import identity
from lmbench.results.measuring import measure, results
from lmbench.results.provenance import code_state, environment
from lmbench.results.reading import read_record
from lmbench.results.record import HEADS, PREDICTIONS, RECORD, Data, Record, Row, write_record
from lmbench.store.files import clear_drafts, explained, locked, write_json
from lmbench.store.manifests import confirm, digest_of_file, relying
from lmbench.tasks.base import TaskContext, evaluate, require_type, type_of_results
from lmbench.training.stages import Artifact


def run(job: Job, resume: str = "auto", wait: bool = True) -> tuple[Record, bool]:
    """(record, whether it was there before). ``resume``: ``auto``, ``never`` or ``require``; see docs/runs.md.

    A run that another process is at is waited for; without ``wait`` BusyError is raised.
    """
    folder = place_of(job, resume)
    if resume != "never" and not folder.exists():
        for place, why in job.earlier()[:1]:
            progress.say(f"{place.name} was made from {why}: it stays as it is, and {folder.name} is made beside it")
        for place, _ in job.earlier():
            if not (place / RECORD).exists():
                identity.clear_scratch(place)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "run", wait), relying() as relied_on:
        if (folder / RECORD).exists():
            shutil.rmtree(folder / identity.FROZEN, ignore_errors=True)  # of a process that was killed after it
            return _recorded(job, folder), True
        try:
            return _measured(job, folder, relied_on), False
        except ChangedError:
            identity.discard(folder)
            raise


def _measured(job: Job, folder: Path, relied_on: set[Path]) -> Record:
    """The record of a run that is trained and judged now. Raises ChangedError where what it reads changes meanwhile."""
    started = time.monotonic()
    for place in (job.stages_folder, job.runs / REFERENCES, cache_root() / "pixels"):
        clear_drafts(place)
    identity.begin(folder, dict(job.identity))
    write_json(folder / "config.json", job.config.dump())
    for said in unequal_scales(job.config, job.plugins):
        progress.say(f"warning: {said}")
    complaints = job.plugins.observe("lmbench_run_started", run=job.config)

    context = TaskContext(job.config, job.target, job.device, job.plugins, folder)
    check_judgeable(context)
    check_stages(job)
    artifacts: list[Artifact] = []
    for artifact in train_stages(job, folder):
        artifacts.append(artifact)
        complaints += job.plugins.observe("lmbench_stage_finished", run=job.config, stage=artifact.stated().entry())
    identity.begin(folder, dict(job.identity), {a.name: a.weights_sha256 for a in artifacts})
    context = replace(context, extractor=freeze(job, artifacts))
    evaluate(context)
    rows = [row for result in context.results.values() for row in measure(result, job.plugins)]

    record = describe(job, context, artifacts, rows, time.monotonic() - started)
    complaints += job.plugins.observe("lmbench_run_finished", run=job.config, record=record)
    beside = references(job, context, time.monotonic() - started)
    draw_run(context, record.stages, rows)
    confirm(relied_on)
    job.target.check_unchanged()
    record = write_record(folder, replace(record, observer_errors=tuple(complaints), references=tuple(beside)))
    shutil.rmtree(folder / identity.FROZEN, ignore_errors=True)
    return record


def check_judgeable(context: TaskContext) -> None:
    """Raises DataError, before anything is trained, where the test split has an image that a metric cannot judge, and
    PluginError where a task names no type of results, or another than it gives.
    """
    for task in context.config.tasks:
        spec = context.plugins.find("task", task).spec
        type_of_results(spec)
        if spec.rehearse:
            for perfect in spec.load(spec.rehearse)(context, context.settings_of(spec.name)):
                require_type(perfect, spec)
                list(results(perfect, context.plugins))


def describe(
    job: Job,
    context: TaskContext,
    artifacts: Sequence[Artifact],
    rows: Sequence[Row],
    seconds: float,
) -> Record:
    """The whole record but for what observers said."""
    folder = context.folder
    config, method = job.config, job.plugins.find("method", job.config.method)
    components = identity.components_of(config, job.plugins, [row.metric for row in rows])
    return Record(
        run=folder.name,
        method=config.method,
        variant=config.output,
        dataset=job.target.name,
        pretrain_on=job.source.name if job.source else "",
        preset=config.preset,
        seed=config.seed,
        backbone=config.network.backbone,
        supervision="untrained" if config.untrained else method.spec.supervision,
        feature_dim=next((d for row in rows if not row.subset and (d := row.settings.get("dimension"))), None),
        rows=tuple(rows),
        stages=tuple(a.stated() for a in artifacts),
        components=tuple(components),
        choices=dict(method.spec.choices),
        data=describe_data(job),
        predictions=tuple(sorted(f"{PREDICTIONS}/{name}.parquet" for name in context.results)),
        heads={p.name: digest_of_file(p) for p in sorted((folder / HEADS).glob("*.safetensors"))},
        code=code_state(),
        environment=environment(job.device, job.precision),
        finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=round(seconds, 1),
        config=config.dump(),
        config_sha256=config.digest(),
        identity=dict(job.identity),
    )


def describe_data(job: Job) -> Data:
    """What a record says of the images and labels behind it."""
    config, target, source = job.config, job.target, job.source
    steps = target.spec.preprocessing
    return Data(
        fingerprint=target.fingerprint,
        partial=target.partial or None,
        counts={split: len(d) for split, d in target.splits.items()},
        used={"train": config.train_images, "test": config.test_images},
        preprocessing={
            "resize": steps.resize,
            "crop": steps.crop,
            "size": steps.size,
            **({"centres": steps.centres} if steps.centres != "papers" else {}),
            **({"fill": steps.fill} if steps.fill else {}),
        },
        framing=asdict(target.spec.framing) if target.spec.framing else None,
        landmarks=target.spec.landmark_names,
        pixels_sha256={s: target.pixels(s).pixels_sha256 for s in ("train", "test")},
        reading={s: said for s in ("train", "test") if (said := target.pixels(s).reading)},
        pretraining_fingerprint=source.fingerprint if source else None,
        test_images_pretrained_on={"images": len(job.leaked), "first": job.leaked[0]} if job.leaked else None,
        object_scale={n: s and s.entry() for n, s in object_scales(config, job.plugins).items()},
        notes=tuple(target.spec.notes),
        remarks={s: d.info.description for s, d in target.splits.items() if d.info.description},
        pretraining_remarks=source.splits["train"].info.description if source else "",
    )


def _recorded(job: Job, folder: Path) -> Record:
    """The record that is there. Raises StaleError where it was made from something else than the job says."""
    record = read_record(folder / RECORD)
    if record.identity != job.identity:
        why = identity.differences(dict(record.identity or {}), dict(job.identity))
        raise StaleError(f"{folder / RECORD} was made from {why}. Pass --resume never to measure anew beside it.")
    return record
