"""``lmbench label``: a local page on which landmarks are clicked."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.errors import UsageError

if TYPE_CHECKING:
    from lmbench.labelling.proposals import Network
    from lmbench.labelling.session import Session


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=None, help="The table to write.  [DIR/labels.csv]"
)
@click.option("--landmarks", default="", metavar="A,B", help="What is labelled, in this order.  [those of the table]")
@click.option("--run", type=click.Path(path_type=Path), default=None, help="A run whose network proposes landmarks.")
@click.option(
    "--size", type=click.IntRange(16, 2048), default=None, help="Side in pixels that this network sees.  [the run's]"
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="[any that is free]")
@click.option("--device", default="auto", show_default=True)
def label(
    folder: Path, output: Path | None, landmarks: str, run: Path | None, size: int | None, port: int, device: str
) -> None:
    """Click landmarks on images of DIR, on a page that only this machine can open; Ctrl-C ends it.

    Every click is kept in a table that `lmbench fit` reads, and the same command goes on where it was left. With --run the points
    are proposed from the third labelled image on, and proposals never move what was clicked.
    """
    from lmbench.labelling.images import ImageFolder
    from lmbench.labelling.proposals import Proposer
    from lmbench.labelling.server import LabelServer
    from lmbench.labelling.session import Session
    from lmbench.labelling.table import LabelTable
    from lmbench.pages.label import label_page
    from lmbench.store.files import explained, locked

    images = ImageFolder(folder)
    path = output or folder / "labels.csv"
    if path.suffix.lower() != ".csv":
        raise UsageError(f"-o {path}: tables are written as .csv; choose such a name.")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path, wait=False):
        table = LabelTable(path, [name for name in landmarks.split(",") if name.strip()])
        load = _loader(run, size, device) if run else None
        session = Session(images, table, Proposer(images, load) if load else None)
        server = LabelServer(session, lambda: label_page(session.about()), port)
        for note in images.notes:
            click.echo(note, err=True)
        click.echo(server.address)
        click.echo(f"{len(images):,} images; {_said(session)}. Open the address above; Ctrl-C ends.", err=True)
        if _has_display():
            webbrowser.open(server.address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
        server.server_close()
    beside = [] if path.parent.resolve() == folder.resolve() else ["--images", str(folder)]
    words = ["fit", str(run or "RUN"), "--labels", str(path), *beside, "-o", f"{folder.absolute().name}_detector"]
    click.echo(f"\n{path}: {_said(session)}", err=True)
    click.echo(f"then: lmbench {shlex.join(words)}", err=True)


def _said(session: Session) -> str:
    found = session.progress()
    begun = f", {found['begun']} begun" if found["begun"] else ""
    return f"{found['labelled']} labelled{begun}"


def _loader(run: Path, size: int | None, device: str) -> Callable[[], Network]:
    """What gives network and framing of a run when they are wanted. Raises DataError here where there is no run."""
    from lmbench.results.fitted import load

    found = load(run)

    def made() -> Network:
        from lmbench.fitting.framing import framer_of
        from lmbench.training.loop import resolve_device

        place = resolve_device(device)
        return found.frozen(place), framer_of(found.name, size or found.framer.steps.size), place

    return made


def _has_display() -> bool:
    """Whether somebody sits there: a terminal, and a screen that a browser can open on."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and sys.stderr.isatty()
