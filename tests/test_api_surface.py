"""What plugins may rely on, as a file: a change of the interface changes that file, and is seen in review.

After a wanted change: `python tests/test_api_surface.py` writes tests/api_surface.txt anew. One that breaks
plugins written before it (a name or field gone, another meaning) also raises API_VERSION in lmbench/specs.py.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from lmbench import api
from lmbench.plugins import hooks as hookspecs
from lmbench.plugins.contract import HOOK_NAMES

SURFACE = Path(__file__).with_name("api_surface.txt")


def surface() -> str:
    """The interface in words: version, names, fields of dataclasses, methods of classes, signatures, hooks."""
    lines = [f"API_VERSION = {api.API_VERSION}"]
    for name in sorted(api.__all__):
        lines += _described(name, getattr(api, name))
    lines += ["", "# hooks"]
    lines += [f"{hook}{_signature(getattr(hookspecs, hook))}" for hook in HOOK_NAMES]
    return "\n".join(lines) + "\n"


def _described(name: str, value: Any) -> list[str]:
    if not inspect.isclass(value):
        return ["", f"{name}{_signature(value)}"] if inspect.isfunction(value) else ["", name]
    bases = ", ".join(b.__name__ for b in value.__bases__ if b is not object)
    lines = ["", f"class {name}({bases})"]
    if dataclasses.is_dataclass(value):
        lines += [f"    {f.name}: {f.type}{_default(f)}" for f in dataclasses.fields(value)]
    elif inspect.isfunction(vars(value).get("__init__")) and not getattr(value, "_is_protocol", False):
        lines.append(f"    __init__{_signature(value.__init__)}")
    for member, found in sorted(vars(value).items()):
        if member.startswith("_"):
            continue
        if isinstance(found, property | functools.cached_property):
            lines.append(f"    {member} (property)")
        elif isinstance(found, classmethod | staticmethod):
            lines.append(f"    {member}{_signature(found.__func__)} ({type(found).__name__})")
        elif inspect.isfunction(found):
            lines.append(f"    {member}{_signature(found)}")
    return lines


class _Bare(str):
    """An annotation that is shown without quotes."""

    __repr__ = str.__str__


def _signature(value: Any) -> str:
    signature = inspect.signature(value)
    bare = [p.replace(annotation=_bare(p.annotation)) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=_bare(signature.return_annotation)))


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return f" = {field.default!r}"
    return " = {}" if field.default_factory is dict else ""


def test_every_name_of_the_api_exists() -> None:
    missing = [name for name in api.__all__ if not hasattr(api, name)]
    assert missing == []
    assert len(set(api.__all__)) == len(api.__all__)


def test_an_unknown_name_of_the_api_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"lmbench.api has no 'objective'"):
        _ = api.objective  # type: ignore[attr-defined]


def test_the_api_is_what_the_surface_file_says() -> None:
    expected, found = SURFACE.read_text(encoding="utf-8"), surface()
    changes = "\n".join(difflib.unified_diff(expected.splitlines(), found.splitlines(), "file", "package", lineterm=""))
    assert found == expected, (
        f"the API changed; if that is wanted, run `python tests/{Path(__file__).name}`:\n{changes}"
    )


def test_the_page_of_the_interface_has_every_name() -> None:
    place = Path(__file__).parents[1] / "docs" / "hooks" / "interface.py"
    page = "\n".join(runpy.run_path(str(place))["interface"]())
    shown = re.findall(r"^::: lmbench\.api\.(\w+)$|`(\w+)`", page, flags=re.MULTILINE)
    assert set(api.__all__) <= {name for pair in shown for name in pair}


if __name__ == "__main__":
    SURFACE.write_text(surface(), encoding="utf-8")
    print(SURFACE)
