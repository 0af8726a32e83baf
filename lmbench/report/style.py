"""How every figure looks: as wide as a column, letters of one size, colours that the colour-blind tell apart, equal bytes for
equal input.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmbench.errors import UsageError
from lmbench.store.files import write_atomically

COLUMN, WHOLE = 85.0, 178.0  # mm; a column and the whole width of a page of two columns
LETTERS = 8.0  # pt at that width
MM, INCH_PT = 25.4, 72.0
DPI = 300  # of PNGs, and of photographs in vector files
SCREEN_WIDTH, SCREEN_DPI = 130.0, 130  # mm; of the pictures that a run leaves beside its record

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
CYCLE = (
    BLUE,
    VERMILION,
    GREEN,
    PURPLE,
    ORANGE,
    SKY,
    BLACK,
)  # Okabe and Ito 2008, without the yellow that paper swallows
MARKERS = ("o", "s", "^", "D", "v", "p", "<", ">", "h", "*")  # each is seen to be hollow where it is
GREY = "#777777"
MANY = 6  # entries of a legend, which stand in two columns where there is room for them
BESIDE_HANDLE = 7  # letters; what the handle of an entry takes with its gaps
FORMATS = ("pdf", "svg", "png")
YELLOW = "#F0E442"  # their eighth, for photographs alone: seen on dark fur and hair, not on paper
HELD = "\N{NO-BREAK SPACE}"
SHORT = re.compile(r"\([^()\n]{1,20}\)")  # parentheses such as (2 seeds) and (higher is better)


@dataclass(frozen=True)
class Page:
    """``width`` of a figure in mm, as it is printed, the size of its letters in pt, and how fine PNGs and photographs are."""

    width: float = COLUMN
    font: float = LETTERS
    dpi: int = DPI

    @classmethod
    def on_screen(cls, columns: int = 1) -> Page:
        """That of a picture beside a record, of so many columns."""
        return cls(SCREEN_WIDTH * columns, dpi=SCREEN_DPI)

    @property
    def line(self) -> float:
        """The height of a line of text, mm."""
        return 1.35 * self.font * MM / INCH_PT

    def fits(self, text: str, room: float) -> bool:
        """Whether a line of text, as it is drawn, is no longer than so many mm."""
        from matplotlib.textpath import TextPath

        drawn = TextPath((0, 0), text, size=self.font)
        return not len(drawn.vertices) or drawn.get_extents().width * MM / INCH_PT <= room


@contextmanager
def styled(page: Page) -> Iterator[None]:
    """A block in which figures are made and written in the one style, whatever the user's own settings of matplotlib are."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_settings(page))
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box stands there
        yield


def _settings(page: Page) -> dict[str, Any]:
    sizes = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    return {
        **dict.fromkeys((*sizes, "legend.title_fontsize", "figure.titlesize"), page.font),
        "font.family": ["DejaVu Sans"],  # which comes with matplotlib: no font of the machine changes a figure
        "text.parse_math": False,  # names are shown as they are
        "pdf.fonttype": 42,  # letters stay letters, as publishers ask
        "svg.fonttype": "path",
        "svg.hashsalt": "lmbench",
        "savefig.dpi": page.dpi,
        "axes.linewidth": 0.6,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "grid.linewidth": 0.4,
        "grid.color": "#dddddd",
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "lines.linewidth": 1.2,
        "lines.markersize": 3.5,
        "legend.frameon": False,
        "legend.handlelength": 2.2,
        "legend.labelspacing": 0.3,
        "figure.constrained_layout.h_pad": 0.02,
        "figure.constrained_layout.w_pad": 0.02,
    }


def new_figure(page: Page, height: float, arranged: bool = True) -> Any:
    """A figure of the page's width and a height in mm, whose panels arrange themselves, or stand where they are put."""
    from matplotlib.figure import Figure

    return Figure(figsize=(page.width / MM, height / MM), layout="constrained" if arranged else None)


def figure_bytes(figure: Any, form: str) -> bytes:
    """A figure as a file of one of `FORMATS`; equal figures give equal bytes: no dates, no chance in names."""
    unsaid = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata=unsaid[form])
    return buffer.getvalue()


def form_of(path: Path) -> str:
    """The format that a file's name asks for. Raises UsageError for another than `FORMATS`."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise UsageError(f"-o {path}: figures are written as .{', .'.join(FORMATS)}; choose such a name.")
    return form


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure in the format of its file's name, atomically. Raises as `form_of`."""
    write_atomically(path, figure_bytes(figure, form_of(path)))


def look(number: int) -> tuple[str, str]:
    """(colour, marker) of the n-th of several things: colours first, then the same with the next marker."""
    return CYCLE[number % len(CYCLE)], MARKERS[number // len(CYCLE) % len(MARKERS)]


def wrapped(text: str, room: float, page: Page, cut: bool = False) -> str:
    """A text in lines that fit into so many mm. Short parentheses stay whole; a word is cut behind a slash where it must be, and
    anywhere if it may be ``cut``.
    """
    letters = max(8, int(room / _letter(page)))
    whole = SHORT.sub(lambda found: found[0].replace(" ", HELD), text)
    halved = re.sub(rf"\S{{{letters},}}", lambda found: found[0].replace("/", "/\v"), whole)
    lines = (
        textwrap.fill(line, letters, break_long_words=cut, replace_whitespace=False) for line in halved.split("\n")
    )
    return "\n".join(lines).replace("\v", "").replace(HELD, " ")


def legend_below(figure: Any, page: Page, handles: Sequence[Any], title: str = "", arranged: bool = True) -> None:
    """A legend below all panels, in as many columns as its longest entry leaves room for; one that is too long is wrapped."""
    if handles:
        figure.legend(
            handles=handles, labels=_entries(handles, page), ncols=_legend_columns(handles, page), title=title or None,
            loc="outside lower left" if arranged else "lower left", alignment="left", borderaxespad=0.2, columnspacing=1.2,
        )  # fmt: skip


def legend_lines(handles: Sequence[Any], page: Page) -> int:
    """In how many lines `legend_below` writes them."""
    heights = [1 + entry.count("\n") for entry in _entries(handles, page)]
    rows = max(1, -(-len(heights) // _legend_columns(handles, page)))
    return max((sum(heights[i : i + rows]) for i in range(0, len(heights), rows)), default=0)


def _entries(handles: Sequence[Any], page: Page) -> list[str]:
    room = page.width / _legend_columns(handles, page) - BESIDE_HANDLE * _letter(page)
    return [wrapped(str(handle.get_label()), room, page) for handle in handles]


def _legend_columns(handles: Sequence[Any], page: Page) -> int:
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    fitting = int(page.width / ((longest + BESIDE_HANDLE) * _letter(page)))
    least = 2 if len(handles) > MANY and page.width > WHOLE / 2 + COLUMN / 2 else 1
    return max(least, min(fitting, len(handles)))


def _letter(page: Page) -> float:
    """The width of an average letter, mm."""
    return 0.55 * page.font * MM / INCH_PT
