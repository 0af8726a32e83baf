"""Text files that plugins bring beside their specs, named ``package:file``."""

from __future__ import annotations

import importlib.util
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from lmbench.errors import PluginError


def text_of(name: str) -> str:
    """The text of ``lmbench_lead:published.csv``. Raises PluginError where there is none."""
    module, _, file = name.partition(":")
    try:
        text = _folder(module).joinpath(file).read_text(encoding="utf-8") if file else None
    except (ImportError, AttributeError, ValueError, OSError) as error:
        what = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({error})"
        raise PluginError(f"{name} {what}: a file beside the plugin's module is expected.") from None
    if text is None:
        raise PluginError(f"{name!r} names no file: expected package:file, for instance lmbench_lead:published.csv.")
    return text


def _folder(module: str) -> Traversable:
    """The folder of a package, or that of a plugin in one file."""
    found = importlib.util.find_spec(module)
    if found is None:
        raise ImportError(f"no module {module}")
    if found.submodule_search_locations is None and found.origin:
        return Path(found.origin).parent
    return resources.files(module)
