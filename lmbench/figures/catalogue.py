"""Which figures there are: what each shows, what it needs, where a paper prints such a one. Nothing heavy is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmbench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from lmbench.figures.asking import Asked, Drawn

COLUMN, WHOLE = 85.0, 178.0  # mm, see `lmbench.report.style`


@dataclass(frozen=True)
class FigureSpec:
    """A kind of figure. ``target``: a function ``(Asked) -> Drawn``; ``takes``: the options it knows; ``width``: in mm.

    ``task``: whose numbers it draws, of at least so many ``amounts`` of annotations.
    """

    name: str
    summary: str
    target: str
    needs: tuple[str, ...]
    papers: str = ""
    takes: tuple[str, ...] = ()
    width: float = COLUMN
    task: str = ""
    amounts: int = 1

    def load(self) -> Callable[[Asked], Drawn]:
        module, _, name = self.target.partition(":")
        found: Callable[[Asked], Drawn] = getattr(importlib.import_module(module), name)
        return found

    def refuse_others(self, given: Iterable[str]) -> None:
        """Raises UsageError for an option that says nothing to this figure."""
        for option in given:
            if option not in self.takes:
                known = ", ".join(f"--{name.replace('_', '-')}" for name in self.takes) or "none of them"
                raise UsageError(
                    f"--{option.replace('_', '-')} says nothing to the figure {self.name}; it takes {known}."
                )


PICTURES = ("images", "data_root")
NETWORK = (*PICTURES, "device")
RECORDS, PREDICTIONS = "records", "stored predictions"
IMAGES, TRAINED = "the dataset's images", "the trained network (`stages` beside the run)"
DISCOVERS, KEPT_HEAD, CURVES = "a method that discovers landmarks", "its kept head", "records of trained runs"

FIGURES = (
    FigureSpec(
        "ced",
        "cumulative error distribution: the share of images with a mean error up to x, with area and failures",
        "lmbench.figures.cumulative:ced",
        (PREDICTIONS,),
        takes=("annotations", "metric", "threshold"),
        task="regression",
    ),
    FigureSpec(
        "accuracy",
        "accuracy curve of predicted landmarks: the share of landmarks found within d pixels",
        "lmbench.figures.cumulative:accuracy",
        (PREDICTIONS,),
        "Two-step Fig. 6",
        takes=("annotations", "threshold"),
        task="regression",
    ),
    FigureSpec(
        "few-shot",
        "error against the number of annotated images: mean and spread over draws and seeds, published values beside",
        "lmbench.figures.few_shot:few_shot",
        (f"{RECORDS} with two numbers of annotations or more",),
        "LEAD Fig. 8, Cheng Fig. 4a and 4b",
        takes=("task", "metric", "published"),
        task="regression",
        amounts=2,
    ),
    FigureSpec(
        "landmarks",
        "the error of each landmark with its interval",
        "lmbench.figures.landmarks:landmarks",
        (PREDICTIONS,),
        takes=("annotations", "metric"),
        task="regression",
    ),
    FigureSpec(
        "detections",
        "test images from the best to the worst predicted, with truth and prediction",
        "lmbench.figures.detections:detections",
        (PREDICTIONS, IMAGES),
        "LEAD Fig. 7, Cheng Fig. 3, Two-step Fig. 3, Thewlis Fig. 6",
        takes=("annotations", *PICTURES),
        width=WHOLE,
        task="regression",
    ),
    FigureSpec(
        "zoomed",
        "test images seen at every zoom-out factor, with truth and prediction",
        "lmbench.figures.detections:zoomed",
        ("the task `scale`", PREDICTIONS, IMAGES),
        "LEAD Fig. 10",
        takes=PICTURES,
        width=WHOLE,
        task="scale",
    ),
    FigureSpec(
        "matching",
        "annotated points of one image found in a warped copy or in another image",
        "lmbench.figures.matching:matching",
        ("the task `matching`", PREDICTIONS, IMAGES),
        "LEAD Fig. 3 and 4, Cheng Fig. 2",
        takes=("part", *NETWORK),
        width=WHOLE,
        task="matching",
    ),
    FigureSpec(
        "pca",
        "frozen features of test images as three colours",
        "lmbench.figures.features:pca",
        (TRAINED, IMAGES),
        takes=NETWORK,
        width=WHOLE,
    ),
    FigureSpec(
        "tsne",
        "frozen features at annotated landmarks of many images, in a plane, coloured by landmark",
        "lmbench.figures.features:tsne",
        (TRAINED, IMAGES),
        "LEAD Fig. 5 (there of all cells: the task `parts`)",
        takes=NETWORK,
    ),
    FigureSpec(
        "parts",
        "parts that a non-negative factorisation finds in frozen features of test images",
        "lmbench.figures.features:parts",
        (TRAINED, IMAGES),
        "Cheng Fig. 5, LEAD Fig. 6",
        takes=("parts", *NETWORK),
        width=WHOLE,
    ),
    FigureSpec(
        "discovered",
        "landmarks that a method discovers, over many images, and what its head predicts from them",
        "lmbench.figures.discovered:discovered",
        (DISCOVERS, TRAINED, IMAGES),
        "Thewlis Fig. 3 to 6, Two-step Fig. 4 and 5",
        takes=("annotations", *NETWORK),
        width=WHOLE,
        task="regression",
    ),
    FigureSpec(
        "weights",
        "how much each discovered landmark weighs in the prediction of each annotated one",
        "lmbench.figures.discovered:weights",
        (DISCOVERS, KEPT_HEAD, TRAINED, IMAGES),
        "Thewlis Fig. 7",
        takes=("annotations", *NETWORK),
        width=WHOLE,
        task="regression",
    ),
    FigureSpec(
        "scale",
        "error against the size of the object in the image",
        "lmbench.figures.curves:scale",
        (f"{RECORDS} with the task `scale`",),
        "LEAD Fig. 9",
        takes=("metric",),
        task="scale",
    ),
    FigureSpec(
        "equivariance",
        "the share of points found within d pixels in a deformed copy of their image, by layer or by method",
        "lmbench.figures.curves:equivariance",
        (f"{RECORDS} with the task `equivariance`",),
        "Two-step Fig. 1 and 2",
        takes=("part",),
        task="equivariance",
    ),
    FigureSpec(
        "learning",
        "learning curves of the stages: loss, and what was probed on the way",
        "lmbench.figures.curves:learning",
        (CURVES,),
        width=WHOLE,
    ),
    FigureSpec(
        "overview",
        "every number of some methods beside their untrained controls",
        "lmbench.figures.overview:overview",
        (RECORDS,),
        takes=("task",),
        width=WHOLE,
    ),
)


def find_figure(name: str) -> FigureSpec:
    """The figure of that name. Raises UsageError with the closest one."""
    known = {spec.name: spec for spec in FIGURES}
    if name not in known:
        raise UsageError(f"unknown figure {name!r}; there are {', '.join(known)}.{did_you_mean(name, known)}")
    return known[name]
