"""The skeleton of a page: its template, its style and script from this package, and what the browser may do with it.

A page is one file. A policy in it forbids the browser all but the style and the script that stand here (by their digests)
and pictures written into it, so that a name in the data runs nothing and loads nothing, whatever it is.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from lmbench.printable import printable

STYLES = ("page.css",)  # of every page, before its own


def render(name: str, data: Any = None, served: bool = False, scripts: Sequence[str] = (), **values: Any) -> str:
    """The page of the template ``NAME.html`` with the style ``NAME.css`` and, where there is one, the script ``NAME.js``.

    ``data``: what the script reads, as JSON. ``served``: the page asks the server that it came from, and no other. ``scripts``:
    of a page that has several, in order. ``values``: what the template shows; texts are escaped.
    """
    style = "\n".join(_static(part) or "" for part in (*STYLES, f"{name}.css"))
    script = "\n".join(_static(part) or "" for part in scripts or (f"{name}.js",))
    policy = {"default-src": "'none'", "img-src": "data:", "style-src": _digest(style), "base-uri": "'none'"}
    policy |= {"form-action": "'none'"} | ({"script-src": _digest(script)} if script else {})
    policy |= {"img-src": "'self' data:", "connect-src": "'self'"} if served else {}
    return (
        _environment()
        .get_template(f"{name}.html")
        .render(
            **values,
            policy="; ".join(f"{what} {allowed}" for what, allowed in policy.items()),
            style=Markup(style),  # ours, and no text of others is in it
            script=Markup(script),
            data=data,
        )
    )


def shown(value: Any) -> Any:
    """A value with every text in it as it may be shown: control and bidirectional marks as escapes."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): shown(inside) for key, inside in value.items()}
    return [shown(inside) for inside in value] if isinstance(value, list | tuple) else value


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lmbench.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    return environment


def _static(name: str) -> str | None:
    found = files("lmbench.pages") / "static" / name
    return found.read_text(encoding="utf-8") if found.is_file() else None


def _digest(text: str) -> str:
    """What a policy calls a text by that stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
