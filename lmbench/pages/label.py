"""The page on which landmarks are clicked: it asks the server that it came from, and no other."""

from __future__ import annotations

from lmbench.labelling.documents import About
from lmbench.pages.skeleton import render

SCRIPTS = ("label_view.js", "label.js")


def label_page(about: About) -> str:
    """The page of a session (`lmbench.labelling.session.Session.about`)."""
    return render("label", dict(about), served=True, scripts=SCRIPTS, file=about["file"])
