"""The configuration of a run: frozen, complete, and the same thing that its record states.

Order of precedence: the method's defaults, its preset, the variant's overrides, a TOML file (``--config``), and
``--set a.b=value`` last.
"""

from __future__ import annotations

import ast
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import ConfigDict, Field

from lmbench.errors import UsageError, did_you_mean


class Model(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OptimiserConfig(Model):
    """``name``: sgd, adam or adamw. Biases and norm layers get no weight decay where ``decay_norms`` is false."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(0.03, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    betas: tuple[float, float] = (0.9, 0.999)
    amsgrad: bool = False
    decay_norms: bool = True


class TrainingConfig(Model):
    """How one stage is trained.

    ``frame``: side in pixels of the whole (uncropped) frame the views are cut from. ``images``: use only the first so
    many. ``schedule``, after ``warmup_epochs`` of linear warm-up: ``cosine`` goes to ``final_lr`` times the rate; ``steps``
    multiplies it by ``decay`` at each epoch of ``milestones``; ``exponential`` does so after every epoch. ``clip_norm``:
    the largest norm of the whole gradient (0: any).
    """

    epochs: int = Field(1, ge=0)
    batch_size: int = Field(128, ge=1)
    frame: int = Field(136, ge=8)
    images: int | None = Field(None, ge=1)
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: Literal["cosine", "constant", "steps", "exponential"] = "cosine"
    warmup_epochs: float = Field(0.0, ge=0)
    final_lr: float = Field(0.0, ge=0)
    milestones: tuple[float, ...] = ()
    decay: float = Field(0.1, gt=0, le=1)
    clip_norm: float = Field(0.0, ge=0)
    checkpoint_minutes: float = Field(2.0, gt=0)


class StageConfig(Model):
    """A stage with everything that decides its weights."""

    objective: str
    backbone: str
    backbone_settings: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    training: TrainingConfig = TrainingConfig()
    starts_from_parent: bool = False
    reads: tuple[str, ...] = ()
    data: Literal["pretrain", "target"] = "pretrain"


class ReadConfig(Model):
    """Which maps of the frozen network are judged: ``layers``, deepest first; ``normalise`` for heads (see FeatureMaps)."""

    backbone: str
    backbone_settings: dict[str, Any] = {}
    layers: tuple[str, ...]
    normalise: Literal["none", "layer", "global"] = "none"


class RegressionConfig(Model):
    """``annotations``: numbers of annotated images, ``all`` being the whole training split; ``draws`` for each but all.

    ``size``: side of the grid the maps are read on. ``layers_alone``: layers that are also judged by themselves, with
    all annotations. ``warped_copies``: each annotated image is also fitted as so many TPS-warped copies of itself (the
    few-shot augmentation of DVE and Cheng).
    """

    head: str = "softargmax_conditioned"
    head_settings: dict[str, Any] = {}
    annotations: tuple[int | Literal["all"], ...] = ("all",)
    draws: int = Field(5, ge=1)
    size: int = Field(48, ge=2)
    layers_alone: tuple[str, ...] = ()
    warped_copies: int = Field(0, ge=0)
    score: Literal["visible", "all"] = "visible"


class MatchingConfig(Model):
    """``reading``: ``cl`` (grid of 96 cells, layer-wise L2, 69/95 px) or ``dve`` (48 cells, plain dot product, 70/96 px).

    ``points``: the reference warps landmarks to the ``nearest`` grid pixel; ``exact`` does it to sub-pixel accuracy.
    """

    reading: Literal["cl", "dve"] = "cl"
    pairs: int = Field(500, ge=1)
    points: Literal["nearest", "exact"] = "nearest"


class EquivarianceConfig(Model):
    """``images``: the first so many test images. The deformation is a rotation by up to ``rotation`` degrees after an elastic
    displacement; ``elastic`` is its standard deviation, ``smoothness`` that of the Gaussian that smooths it, both as fractions
    of the image's side. The paper says rotations and elastic deformations, and not how strong.
    """

    images: int = Field(1000, ge=1)
    rotation: float = Field(20.0, ge=0, le=180)
    elastic: float = Field(0.02, ge=0)
    smoothness: float = Field(0.08, gt=0)


class SegmentationConfig(Model):
    """The pixel classifier: ``annotations`` and ``draws`` as in regression; fitted for ``steps`` batches on a grid of ``size``
    cells a side, judged at every pixel of the image.
    """

    annotations: tuple[int | Literal["all"], ...] = ("all",)
    draws: int = Field(5, ge=1)
    size: int = Field(64, ge=2)
    steps: int = Field(400, ge=1)
    batch_size: int = Field(16, ge=1)
    lr: float = Field(0.01, gt=0)


class ScaleConfig(Model):
    """``factors``: the side of a test image's box is multiplied by each; above 1 the object looks smaller (zoom-out)."""

    factors: tuple[Annotated[float, Field(ge=0.25, le=4)], ...] = (0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)

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

    by: tuple[Literal["nmf", "kmeans", "tsne"], ...] = ("nmf", "kmeans", "tsne")
    k: int = Field(6, ge=2)
    images: int = Field(24, ge=1)
    size: int = Field(24, ge=2)
    layer: str = ""
    points: int = Field(2000, ge=100)


class ProbeConfig(Model):
    """The learning curve: every ``every`` epochs (0: never) on ``images`` training images that are never the test's."""

    every: int = Field(0, ge=0)
    images: int = Field(600, ge=20)
    annotations: int = Field(10, ge=1)
    draws: int = Field(5, ge=1)
    steps: int = Field(150, ge=1)


class RunConfig(Model):
    """One run: method x dataset x seed, with all that its numbers depend on."""

    method: str
    variant: str
    dataset: str
    pretrain_on: str = ""
    preset: str
    seed: int = Field(0, ge=0)
    untrained: bool = False
    backbone: str
    stages: dict[str, StageConfig] = {}
    read: ReadConfig
    tasks: tuple[str, ...] = ("regression", "matching")
    regression: RegressionConfig = RegressionConfig()
    matching: MatchingConfig = MatchingConfig()
    equivariance: EquivarianceConfig = EquivarianceConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    scale: ScaleConfig = ScaleConfig()
    parts: PartsConfig = PartsConfig()
    probe: ProbeConfig = ProbeConfig()
    test_images: int | None = Field(None, ge=2)
    train_images: int | None = Field(None, ge=1)
    encode_batch: int = Field(64, ge=1)
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


def parse_assignments(assignments: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """``["a.b=1", "a.c=x"]`` as ``{"a": {"b": 1, "c": "x"}}``; values are Python literals, else text."""
    tree: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not all(path.split(".")):
            raise UsageError(
                f"--set {assignment!r}: expected a.b=value, for instance --set stages.byol.training.epochs=3."
            )
        try:
            value: Any = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = {"true": True, "false": False, "none": None}.get(text.lower(), text)
        for key in reversed(path.split(".")):
            value = {key: value}
        tree = merge(tree, value)
    return tree


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a configuration file. Raises UsageError with the line of a mistake."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: not valid TOML: {error}.") from None


def validate(values: Mapping[str, Any]) -> RunConfig:
    """A RunConfig. Raises UsageError naming each bad field, what it got and, for an unknown one, the closest name."""
    try:
        return RunConfig.model_validate(values)
    except pydantic.ValidationError as error:
        raise UsageError("bad configuration: " + "; ".join(_explain(e) for e in error.errors())) from None


def _explain(error: Any) -> str:
    where = ".".join(str(p) for p in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{where} is no setting.{did_you_mean(str(error['loc'][-1]), _field_names(error['loc'][:-1]))}"
    return f"{where} = {error['input']!r}: {error['msg'].lower()}"


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
