"""The configuration of a run: frozen, complete, and the same thing that its record states.

Order of precedence: the recipe, what the preset changes for everybody, the method's defaults and its preset, the variant's
overrides, a TOML file (``--config``), and ``--set a.b=value`` last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any, Literal

from lmbench.config.plain import Tree
from lmbench.config.ranges import (
    Ascending,
    Batch,
    Cells,
    ComponentSettings,
    Count,
    Draws,
    Fraction,
    Ge,
    Gt,
    Le,
    MinLen,
    Momentum,
    Name,
    Names,
    NotNegative,
    Once,
    Positive,
    Probability,
    Rate,
    Side,
)

NO_NETWORK = "none"
"""The backbone of a variant that has no network."""


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """``name``: sgd, adam or adamw. Biases and norm layers get no weight decay where ``decay_norms`` is false."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Rate = 0.03
    weight_decay: NotNegative = 1e-4
    momentum: Momentum = 0.9
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    amsgrad: bool = False
    decay_norms: bool = True


@dataclass(frozen=True, kw_only=True)
class Training:
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
    optimiser: Optimiser = Optimiser()
    schedule: Literal["cosine", "constant", "steps", "exponential"] = "cosine"
    warmup_epochs: Annotated[float, Ge(0), Le(100_000)] = 0.0
    final_lr: Probability = 0.0
    milestones: Annotated[tuple[Positive, ...], Ascending()] = ()
    decay: Fraction = 0.1
    clip_norm: NotNegative = 0.0
    checkpoint_minutes: Annotated[float, Gt(0)] = 2.0

    def steps(self, images: int) -> int:
        """The optimiser steps of all epochs over a split of so many images."""
        return self.epochs * self._steps_an_epoch(images)

    def images_seen(self, images: int) -> int:
        """How many images, repeated ones counted again, all steps over a split of so many take."""
        return self.steps(images) * min(self.batch_size, images, self.images or images)

    def over(self, images: int) -> Training:
        """The training as it is done on a split of so many images: with more epochs where these are too few steps.

        Warm-up, milestones and decay stretch with them; no epochs stay none.
        """
        epochs = -(-self.least_steps // self._steps_an_epoch(images))
        if self.epochs == 0 or epochs <= self.epochs:
            return self
        longer = epochs / self.epochs
        return replace(
            self,
            epochs=epochs,
            warmup_epochs=self.warmup_epochs * longer,
            milestones=tuple(m * longer for m in self.milestones),
            decay=self.decay ** (1 / longer) if self.schedule == "exponential" else self.decay,
        )

    def _steps_an_epoch(self, images: int) -> int:
        return max(1, min(images, self.images or images) // self.batch_size)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One objective trained on one backbone, with everything that decides its weights.

    In a recipe ``{backbone}`` stands for the run's backbone, and ``settings`` and ``backbone_settings`` hold what differs from
    the defaults, as a mapping or an object; in a run they are complete objects. ``reads``: the maps of the stage before that
    the objective is handed as ``parent``, deepest first (empty: all of them). ``data``: the images of ``--pretrain-on``, or
    the unlabelled training images of the ``target`` dataset (fine-tuning without labels).
    """

    name: Name
    objective: Name
    backbone: Name = "{backbone}"
    backbone_settings: ComponentSettings = field(default_factory=dict)
    settings: ComponentSettings = field(default_factory=dict)
    training: Training = Training()
    starts_from_parent: bool = False
    reads: Names = ()
    data: Literal["pretrain", "target"] = "pretrain"

    def dump(self) -> dict[str, Any]:
        """The stage as JSON, without its name, which is no part of what it computes."""
        return {name: value for name, value in plain(self).items() if name != "name"}

    @property
    def untrained(self) -> Stage:
        """The stage as it was initialised."""
        return replace(self, training=replace(self.training, epochs=0))


@dataclass(frozen=True, kw_only=True)
class Network:
    """A backbone with its settings; ``none``: there is no network."""

    backbone: Name = "{backbone}"
    backbone_settings: ComponentSettings = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.backbone != NO_NETWORK


@dataclass(frozen=True, kw_only=True)
class Read:
    """Which maps of the frozen network are judged: ``layers``, deepest first, on a grid of ``size`` cells a side.

    ``normalise`` for heads: see FeatureMaps.
    """

    layers: Names = ()
    normalise: Literal["none", "layer", "global"] = "none"
    size: Cells = 48


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The learning curve: every ``every`` epochs (0: never) on ``images`` training images that are never the test's.

    The head is fitted to ``annotations`` of their first half, and judged on the other: to so many that it says more than the
    mean shape.
    """

    every: Annotated[int, Ge(0), Le(100_000)] = 0
    images: Annotated[int, Ge(20), Le(10_000_000)] = 600
    annotations: Count = 200
    draws: Draws = 1


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run: method x dataset x seed, with all that its numbers depend on.

    ``network``: what is judged, which is what the last stage trains; of a variant without stages the network that it names.
    ``settings``: those of its tasks and of the tasks that these use, objects by the task's name; in the grammar of ``--config``
    they stand at the top. ``allow_test_images``: images of the target's test split may be among those of ``pretrain_on``.
    ``references``: the mean shape and the untrained control are measured as well, to be read beside the result. ``partial``:
    originals of which a part is missing are used as far as they are there, and named so.
    """

    method: Name
    variant: Name
    dataset: Name
    pretrain_on: str = ""
    allow_test_images: bool = False
    preset: Name
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    untrained: bool = False
    backbone: Name
    stages: Mapping[str, Stage] = field(default_factory=dict)
    network: Network = Network()
    read: Read = Read()
    tasks: Annotated[tuple[Name, ...], MinLen(1), Once()] = ("regression",)
    settings: Mapping[str, Any] = field(default_factory=dict)
    probe: Probe = Probe()
    test_images: Annotated[int, Ge(2), Le(10_000_000)] | None = None
    train_images: Count | None = None
    encode_batch: Batch = 64
    references: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    partial: bool = False

    def __post_init__(self) -> None:
        if self.stages:
            last = list(self.stages.values())[-1]
            judged = Network(backbone=last.backbone, backbone_settings=last.backbone_settings)
            object.__setattr__(self, "network", judged)

    @property
    def output(self) -> str:
        """What is judged: the variant, or its untrained control."""
        return f"{self.variant}, untrained" if self.untrained else self.variant

    def settings_of(self, task: str) -> Any:
        """The settings of a task of this run, or of one that they use; the name may be qualified."""
        return self.settings[task.rpartition(":")[2]]

    def dump(self) -> dict[str, Any]:
        """The configuration as JSON, in the grammar of ``--config``; a network that stages train stands with them."""
        found = plain(self)
        found["stages"] = {name: stage.dump() for name, stage in self.stages.items()}
        return {**{k: v for k, v in found.items() if k != "settings" and (k != "network" or not self.stages)},
                **found["settings"]}  # fmt: skip

    def digest(self) -> str:
        """SHA-256 of the configuration in canonical JSON: equal configurations have equal digests."""
        return digest_of(self.dump())


OWN_FIELDS = tuple(f.name for f in fields(RunConfig) if f.name != "settings")
"""The top of a configuration but for the tasks' sections."""


def plain(value: Any) -> Any:
    """A value as JSON has it: objects of dataclasses as tables, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inside) for key, inside in value.items()}
    return [plain(inside) for inside in value] if isinstance(value, list | tuple) else value


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def merge(base: Tree, over: Tree) -> dict[str, Any]:
    """``base`` with ``over`` laid on it, mappings merged deeply, everything else replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
