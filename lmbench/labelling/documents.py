"""What the page of `lmbench label` is answered: JSON objects, as `lmbench.labelling.session` makes and label.js reads them."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from lmbench.labelling.table import Mark

State = Literal["none", "begun", "done"]
Points = list[list[float] | None]


class About(TypedDict):
    """What the page is made with. ``start``: the first image that is not done; ``page``: how many are listed at once."""

    names: tuple[str, ...]
    total: int
    file: str
    start: int
    proposals: bool
    page: int


class Labelled(TypedDict):
    """An image with its marks, which were written ``revision`` times. What is no image has ``problem`` instead of a size."""

    index: int
    name: str
    marks: list[Mark]
    revision: int
    problem: NotRequired[str]
    width: NotRequired[int]
    height: NotRequired[int]


class Progress(TypedDict):
    """How many images are labelled, every landmark said of, and how many are begun."""

    labelled: int
    begun: int


class Kept(TypedDict):
    """That marks were written."""

    revision: int
    progress: Progress


class Item(TypedDict):
    """An image in a list."""

    index: int
    name: str
    state: State


class Listed(TypedDict):
    """A page of the list of images, from ``start`` on."""

    start: int
    images: list[Item]


class Proposing(TypedDict):
    """``made``: which head it is, so that it shows when there is a new one; ``doing``: waiting, fitting, ready or failed;
    ``of``: the images that it was fitted to, ``least`` of which are needed; ``said``: what it chose."""

    made: int
    doing: str
    of: int
    said: str
    least: int


class Status(TypedDict):
    """``windows`` that are open; ``changed``: what another program did to the table; ``revision``: of the image shown."""

    progress: Progress
    windows: int
    revision: int
    changed: str
    proposals: Proposing | None


class Proposed(TypedDict):
    """``points`` (L, 2): pixels, None for a landmark that no labelled image shows; None where no head is fitted yet."""

    index: int
    points: Points | None
