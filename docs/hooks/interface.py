"""The page of the plugin interface: a directive of mkdocstrings for every name that a plugin may import, in groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mkdocs.structure.pages import Page

from lmbench import api
from lmbench.config import ranges
from lmbench.config.setting_types import in_words
from lmbench.printable import markdown as table

PLACE = "<!-- names of lmbench.api -->"


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    return markdown.replace(PLACE, "\n".join(interface())) if page.file.src_uri == "interface.md" else markdown


def interface() -> Iterator[str]:
    """Every name of lmbench.api with its docstring; types of settings, which have none, in words."""
    names = {name: None if name in api.LAZY else getattr(api, name) for name in api.__all__}
    errors = [name for name, found in names.items() if isinstance(found, type) and issubclass(found, Exception)]
    types = [name for name, found in names.items() if name in ranges.__all__ and not isinstance(found, type)]
    foreign = [name for name, found in names.items() if getattr(found, "__module__", "") == "annotated_types"]
    marks = [name for name in names if name in ranges.__all__ and name not in (*types, *foreign)]
    light = [name for name in names if name not in (*api.LAZY, *errors, *types, *foreign, *marks)]
    yield from group("Specs and recipes", light)
    yield from group("Networks, training, results", list(api.LAZY))
    yield "## Types of settings\n"
    yield table(["type", "what it takes"], [[f"`{name}`", in_words(names[name])] for name in types])
    yield f"Other ranges are written with those of `annotated_types`: {', '.join(f'`{name}`' for name in foreign)}.\n"
    yield from group("Marks of settings", marks)
    yield from group("Errors", errors)


def group(title: str, names: list[str]) -> Iterator[str]:
    yield f"## {title}\n"
    for name in names:
        yield f"::: lmbench.api.{name}\n"
