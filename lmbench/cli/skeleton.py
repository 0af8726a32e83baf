"""What ``lmbench plugin new`` writes: the plugin of ``lmbench/templates``, which works and is tested, under another name."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath

from lmbench.errors import UsageError
from lmbench.plugins.loading import Plugins
from lmbench.specs import KIND_OF

NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
TEMPLATE = "lmbench-placeholder"


def write_skeleton(name: str, folder: Path, plugins: Plugins) -> Path:
    """The folder of a new plugin distribution ``lmbench-NAME`` below ``folder``; it is there whole or not at all.

    Raises UsageError for a name that makes no distribution and package, or that a plugin or a component has, and where the
    folder exists.
    """
    bare = name.removeprefix("lmbench-").removeprefix("lmbench_")
    if not NAME.fullmatch(bare):
        raise UsageError(
            f"plugin name {name!r}: expected small letters, digits and single - or _, for instance my-loss."
        )
    slug, distribution = bare.replace("-", "_"), f"lmbench-{bare.replace('_', '-')}"
    _require_free(slug, distribution, plugins)
    place = folder / distribution
    if place.exists():
        raise UsageError(f"{place} exists already and is left as it is: choose another name or --dir.")
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{distribution}-", dir=folder))
    try:
        for path, text in _template():
            file = draft / _renamed(str(path), slug, distribution)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_renamed(text, slug, distribution), encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(place)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return place


def _require_free(slug: str, distribution: str, plugins: Plugins) -> None:
    """Raises UsageError where an installed plugin has the name, or a component: both would then be asked for in full."""
    taken = [
        f"the plugin {i.name} of {i.distribution}"
        for i in plugins.infos
        if i.name == slug or i.distribution.replace("_", "-").lower() == distribution
    ]
    taken += [
        f"the {kind} {entry.spec.name} of {entry.owner}"
        for kind in KIND_OF.values()
        for entry in plugins.registry(kind)
        if entry.spec.name.replace("-", "_") == slug
    ]
    if taken:
        raise UsageError(f"plugin name {slug!r}: {taken[0]} has that name already; choose another one.")


def _renamed(text: str, slug: str, distribution: str) -> str:
    return text.replace(TEMPLATE, distribution).replace("placeholder", slug)


def _template() -> Iterator[tuple[PurePath, str]]:
    """Path and text of every file of the template."""
    yield from _below(files("lmbench") / "templates" / TEMPLATE, PurePath())


def _below(folder: Traversable, path: PurePath) -> Iterator[tuple[PurePath, str]]:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.name.startswith(("_", ".")):
            yield from _below(entry, path / entry.name)
        elif entry.is_file():
            yield path / entry.name, entry.read_text(encoding="utf-8")
