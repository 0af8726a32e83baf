"""The configuration of a run: frozen, complete, and the same thing that its record states.

Order of precedence: the method's defaults, its preset, the variant's overrides, a TOML file (``--config``), and
``--set a.b=value`` last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, BeforeValidator, ConfigDict

from lmbench.config.ranges import (
    Cells,
    Count,
    Fraction,
    Ge,
    Gt,
    Le,
    Lt,
    Name,
    NotNegative,
    Positive,
    Probability,
    Rate,
    Side,
)
from lmbench.config.values import briefly, require_plain, shown
from lmbench.errors import UsageError, did_you_mean


class Model(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("expected each once")
    return values


def _once_and_some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("expected one or more")
    return _once(values)


def _ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("expected ascending values")
    return values


def _numbers_or_all(values: Any) -> Any:
    wanted = isinstance(values, list | tuple) and all(
        v == "all" or (isinstance(v, int) and not isinstance(v, bool) and 1 <= v) for v in values
    )
    if not wanted or not values:
        raise ValueError("expected a list of numbers of annotated images, each 1 or more, and all")
    return _once(tuple(values))


Momentum = Annotated[float, Ge(0), Lt(1)]
Batch = Annotated[int, Ge(1), Le(65_536)]
Draws = Annotated[int, Ge(1), Le(10_000)]
Names = Annotated[tuple[Name, ...], AfterValidator(_once)]
Annotations = Annotated[tuple[int | Literal["all"], ...], BeforeValidator(_numbers_or_all)]


class OptimiserConfig(Model):
    """``name``: sgd, adam or adamw. Biases and norm layers get no weight decay where ``decay_norms`` is false."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Rate = 0.03
    weight_decay: NotNegative = 1e-4
    momentum: Momentum = 0.9
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    amsgrad: bool = False
    decay_norms: bool = True


class TrainingConfig(Model):
    """How one stage is trained.

    ``frame``: side in pixels of the whole (uncropped) frame the views are cut from. ``images``: use only the first so
    many. ``schedule``, after ``warmup_epochs`` of linear warm-up: ``cosine`` goes to ``final_lr`` times the rate; ``steps``
    multiplies it by ``decay`` at each epoch of ``milestones``; ``exponential`` does so after every epoch. ``clip_norm``:
    the largest norm of the whole gradient (0: any). ``least_steps``: where the epochs amount to fewer optimiser steps, the
    images are repeated until there are as many.
    """

    epochs: Annotated[int, Ge(0), Le(100_000)] = 1
    least_steps: Annotated[int, Ge(0), Le(10_000_000)] = 0
    batch_size: Batch = 128
    frame: Side = 136
    images: Count | None = None
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: Literal["cosine", "constant", "steps", "exponential"] = "cosine"
    warmup_epochs: Annotated[float, Ge(0), Le(100_000)] = 0.0
    final_lr: Probability = 0.0
    milestones: Annotated[tuple[Positive, ...], AfterValidator(_ascending)] = ()
    decay: Fraction = 0.1
    clip_norm: NotNegative = 0.0
    checkpoint_minutes: Annotated[float, Gt(0)] = 2.0

    def steps(self, images: int) -> int:
        """The optimiser steps of all epochs over a split of so many images."""
        return self.epochs * self._steps_an_epoch(images)

    def over(self, images: int) -> TrainingConfig:
        """The training as it is done on a split of so many images: with more epochs where these are too few steps.

        Warm-up, milestones and decay stretch with them; no epochs stay none.
        """
        epochs = -(-self.least_steps // self._steps_an_epoch(images))
        if self.epochs == 0 or epochs <= self.epochs:
            return self
        longer = epochs / self.epochs
        stretched: dict[str, Any] = {
            "epochs": epochs,
            "warmup_epochs": self.warmup_epochs * longer,
            "milestones": tuple(m * longer for m in self.milestones),
        }
        if self.schedule == "exponential":
            stretched["decay"] = self.decay ** (1 / longer)
        return self.model_copy(update=stretched)

    def _steps_an_epoch(self, images: int) -> int:
        return max(1, min(images, self.images or images) // self.batch_size)


class StageConfig(Model):
    """A stage with everything that decides its weights."""

    objective: Name
    backbone: Name
    backbone_settings: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    training: TrainingConfig = TrainingConfig()
    starts_from_parent: bool = False
    reads: Names = ()
    data: Literal["pretrain", "target"] = "pretrain"


class ReadConfig(Model):
    """Which maps of the frozen network are judged: ``layers``, deepest first; ``normalise`` for heads (see FeatureMaps)."""

    backbone: Name
    backbone_settings: dict[str, Any] = {}
    layers: Names
    normalise: Literal["none", "layer", "global"] = "none"


WarpField = Literal["warpsd_all", "warpsd_subset", "transsd", "scalesd", "rotsd"]


class RegressionConfig(Model):
    """``annotations``: numbers of annotated images, ``all`` being the whole training split; ``draws`` for each but all.

    ``size``: side of the grid the maps are read on. ``layers_alone``: layers that are also judged by themselves, with
    all annotations. ``warped_copies``: each annotated image is also fitted as so many TPS-warped copies of itself (the
    few-shot augmentation of DVE and Cheng); ``warp``: standard deviations that differ from theirs (see TPSStrength).
    """

    head: Name = "softargmax_conditioned"
    head_settings: dict[str, Any] = {}
    annotations: Annotations = ("all",)
    draws: Draws = 5
    size: Cells = 48
    layers_alone: Names = ()
    warped_copies: Annotated[int, Ge(0), Le(1_000)] = 0
    warp: dict[WarpField, NotNegative] = {}
    score: Literal["visible", "all"] = "visible"

    def of_control(self) -> RegressionConfig:
        """How the untrained control is judged: with all annotations, else with the most there are, by no layer alone."""
        most = "all" if "all" in self.annotations else max(n for n in self.annotations if n != "all")
        return self.model_copy(update={"annotations": (most,), "layers_alone": ()})


class MatchingConfig(Model):
    """``reading``: ``cl`` (grid of 96 cells, layer-wise L2, 69/95 px) or ``dve`` (48 cells, plain dot product, 70/96 px).

    ``points``: the reference warps landmarks to the ``nearest`` grid pixel; ``exact`` does it to sub-pixel accuracy.
    """

    reading: Literal["cl", "dve"] = "cl"
    pairs: Count = 500
    points: Literal["nearest", "exact"] = "nearest"


class EquivarianceConfig(Model):
    """``images``: the first so many test images. The deformation is a rotation by up to ``rotation`` degrees after an elastic
    displacement; ``elastic`` is its standard deviation, ``smoothness`` that of the Gaussian that smooths it, both as fractions
    of the image's side. The paper says rotations and elastic deformations, and not how strong.
    """

    images: Count = 1000
    rotation: Annotated[float, Ge(0), Le(180)] = 20.0
    elastic: Probability = 0.02
    smoothness: Fraction = 0.08


class SegmentationConfig(Model):
    """The pixel classifier: ``annotations`` and ``draws`` as in regression; fitted for ``steps`` batches on a grid of ``size``
    cells a side, judged at every pixel of the image.
    """

    annotations: Annotations = ("all",)
    draws: Draws = 5
    size: Cells = 64
    steps: Count = 400
    batch_size: Batch = 16
    lr: Rate = 0.01


class ScaleConfig(Model):
    """``factors``: the side of a test image's box is multiplied by each; above 1 the object looks smaller (zoom-out)."""

    factors: tuple[Annotated[float, Ge(0.25), Le(4)], ...] = (0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)

    @pydantic.field_validator("factors")
    @classmethod
    def _named_apart(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if not factors or len({f"{f:g}" for f in factors}) < len(factors):
            raise ValueError("one or more different factors are needed")
        return factors


class PartsConfig(Model):
    """``k`` parts by each method of ``by``, found in all cells of the first ``images`` test images together.

    Maps are read on a grid of ``size`` cells a side: all layers of the variant joined, or one ``layer``. ``tsne`` embeds
    ``points`` of the cells in a plane, in the colours of ``kmeans``.
    """

    by: Annotated[tuple[Literal["nmf", "kmeans", "tsne"], ...], AfterValidator(_once_and_some)] = (
        "nmf",
        "kmeans",
        "tsne",
    )
    k: Annotated[int, Ge(2), Le(1_000)] = 6
    images: Annotated[int, Ge(1), Le(10_000)] = 24
    size: Cells = 24
    layer: str = ""
    points: Annotated[int, Ge(100), Le(100_000)] = 2000


class ProbeConfig(Model):
    """The learning curve: every ``every`` epochs (0: never) on ``images`` training images that are never the test's."""

    every: Annotated[int, Ge(0), Le(100_000)] = 0
    images: Annotated[int, Ge(20), Le(10_000_000)] = 600
    annotations: Count = 10
    draws: Draws = 5
    steps: Count = 150


class RunConfig(Model):
    """One run: method x dataset x seed, with all that its numbers depend on.

    ``allow_test_images``: images of the target's test split may be among those of ``pretrain_on``.
    ``references``: the mean shape and the untrained control are measured as well, to be read beside the result.
    """

    method: Name
    variant: Name
    dataset: Name
    pretrain_on: str = ""
    allow_test_images: bool = False
    preset: str
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    untrained: bool = False
    backbone: Name
    stages: dict[str, StageConfig] = {}
    read: ReadConfig
    tasks: Annotated[Names, AfterValidator(_once_and_some)] = ("regression", "matching")
    regression: RegressionConfig = RegressionConfig()
    matching: MatchingConfig = MatchingConfig()
    equivariance: EquivarianceConfig = EquivarianceConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    scale: ScaleConfig = ScaleConfig()
    parts: PartsConfig = PartsConfig()
    probe: ProbeConfig = ProbeConfig()
    test_images: Annotated[int, Ge(2), Le(10_000_000)] | None = None
    train_images: Count | None = None
    encode_batch: Batch = 64
    references: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    partial: bool = False
    """Originals of which a part is missing are used as far as they are there, and named so."""

    @property
    def output(self) -> str:
        """What is judged: the variant, or its untrained control."""
        return f"{self.variant}, untrained" if self.untrained else self.variant

    def digest(self) -> str:
        """SHA-256 of the configuration in canonical JSON: equal configurations have equal digests."""
        return digest_of(self.model_dump(mode="json"))


SECTIONS = tuple(
    name
    for name, f in RunConfig.model_fields.items()
    if isinstance(f.annotation, type) and issubclass(f.annotation, Model)
)
"""The fields of a run's configuration that are tables of settings themselves, stages aside."""


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid on it, mappings merged deeply, everything else replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def validate(values: Mapping[str, Any]) -> RunConfig:
    """A RunConfig. Raises UsageError naming each bad field, what it got and, for an unknown one, the closest name.

    Strictly: true is no number, "3" is none either, and 3.0 is no whole number. A list is as good as a tuple, which JSON and
    TOML do not have.
    """
    require_plain(values, "")
    try:
        return RunConfig.model_validate_json(json.dumps(values), strict=True)
    except pydantic.ValidationError as error:
        raise UsageError("bad configuration: " + "; ".join(_explain(e) for e in error.errors())) from None


def _explain(error: Any) -> str:
    where = shown(".".join(str(p) for p in error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{where} is no setting.{did_you_mean(str(error['loc'][-1]), _field_names(error['loc'][:-1]))}"
    said = (
        error["msg"]
        .removeprefix("Value error, ")
        .lower()
        .replace("a valid array", "a list")
        .replace("an object", "a table")
    )
    return f"{where} = {briefly(error['input'])}: {said}"


def _field_names(location: tuple[Any, ...]) -> list[str]:
    """The fields of the model at a place in RunConfig, for suggestions; empty where it is none."""
    model: Any = RunConfig
    for key in location:
        if isinstance(model, type) and issubclass(model, Model) and key in model.model_fields:
            model = model.model_fields[key].annotation
            model = StageConfig if key == "stages" else model
        elif model is not StageConfig:
            return []
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, Model) else []
