"""What the site has besides the documents: a page for each installed component, made from its spec, and boards' pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from lmbench.cli.list import everything, outline, recipe_of, short
from lmbench.config import presets
from lmbench.plugins.loading import get_plugins
from lmbench.plugins.registry import Entry
from lmbench.printable import markdown
from lmbench.specs import MethodSpec

KINDS = ("method", "dataset", "task", "metric", "head", "objective", "backbone")
FOLDER = "components"
DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
BOARDS = ROOT / "leaderboards"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation with the generated pages behind those of the files, each dataset's own story behind what is known of it."""
    sections = [
        {f"{kind}s": [f"{FOLDER}/{kind}s/index.md", *(f"{FOLDER}/{kind}s/{name_of(e)}.md" for e in entries(kind))]}
        for kind in KINDS
    ]
    stories = sorted(f"datasets/{p.name}" for p in DOCS.glob("datasets/*.md") if p.name != "your_own.md")
    config.nav = [*(config.nav or []), {"Components": sections}, {"Datasets from their originals": stories}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for kind in KINDS:
        found = entries(kind)
        for entry in found:
            files.append(File.generated(config, f"{FOLDER}/{kind}s/{name_of(entry)}.md", content=page(kind, entry)))
        files.append(File.generated(config, f"{FOLDER}/{kind}s/index.md", content=listing(kind, found)))
    files.append(File.generated(config, "changes.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    for picture in sorted(BOARDS.glob("*.svg")):
        files.append(File.generated(config, f"{BOARDS.name}/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Pictures of boards lie beside the documents in the repository, and below them on the site."""
    return markdown.replace(f"](../{BOARDS.name}/", f"]({BOARDS.name}/")


def entries(kind: str) -> list[Entry[Any]]:
    return sorted(get_plugins().registry(kind), key=lambda e: (e.spec.name, e.owner))


def name_of(entry: Entry[Any]) -> str:
    """A file name: a family such as ``timm/*`` stands as ``timm``."""
    return re.sub(r"\W+", "-", entry.spec.name).strip("-")


def listing(kind: str, found: list[Entry[Any]]) -> str:
    rows = [[f"[{e.spec.name}]({name_of(e)}.md)", short(e.spec.summary), e.owner] for e in found]
    return f"# {kind.capitalize()}s\n\n{markdown([kind, 'what it is', 'brought by'], rows)}"


def page(kind: str, entry: Entry[Any]) -> str:
    """One component: its facts, its settings with defaults and types, and for a method its recipe and presets."""
    facts = outline(entry, get_plugins().registry(kind).clashes()) | everything(entry.spec)
    lines = [f"# {entry.spec.name}", "", facts["summary"], ""]
    lines += [markdown(["fact", "value"], [[name.replace("_", " "), value] for name, value in told(facts)])]
    settings: Mapping[str, Any] = facts.get("settings") or {}
    if settings:
        rows = [
            [f"`{name}`", f"`{short(row['default']) or row['default']}`", row["type"]] for name, row in settings.items()
        ]
        lines += ["## Settings", "", markdown(["setting", "default", "type"], rows)]
    if isinstance(entry.spec, MethodSpec):
        recipe = {name: facts[name] for name in ("supervision", "stages", "choices")}
        chosen = {
            name: text for name in presets.names(entry.spec) if (text := presets.text_of(entry.spec, name).strip())
        }
        lines += [
            "## Recipe",
            "",
            "```text",
            recipe_of(entry.spec, recipe),
            "```",
            "",
        ]
        for name, text in chosen.items():
            lines += [f"## Preset {name}", "", "```toml", text, "```", ""]
    lines += [f"    lmbench describe {kind} {entry.spec.name}", ""]
    if (DOCS / f"{kind}s" / f"{name_of(entry)}.md").is_file():
        lines += [f"How it is made from its originals: [{entry.spec.name}](../../{kind}s/{name_of(entry)}.md)", ""]
    return "\n".join(lines)


def told(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The facts that fit in a cell."""
    left_out = {
        "name",
        "summary",
        "kind",
        "qualified",
        "ambiguous",
        "family",
        "settings",
        "stages",
        "presets",
        "choices",
    }
    for name, value in facts.items():
        if name in left_out or value in ("", None, [], {}) or (isinstance(value, list) and isinstance(value[0], dict)):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else short(value)
        if len(text) < 400:
            yield name, text
