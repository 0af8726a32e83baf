"""Landmark regression: a head fitted on frozen output with n annotated images, judged on the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from lmbench.data.pixels import PixelStore
from lmbench.errors import UsageError
from lmbench.heads.base import FittedHeads, Head, HeadInputs, Subset
from lmbench.heads.draws import draw_subsets
from lmbench.heads.frozen import freeze_maps
from lmbench.metrics.base import Predictions
from lmbench.plugins.registry import Entry
from lmbench.seeds import generator_for
from lmbench.specs import DatasetSpec, HeadSpec, Preprocessing
from lmbench.store.files import write_atomically
from lmbench.tasks.backward import judge_backward
from lmbench.tasks.base import TaskContext
from lmbench.tasks.inputs import ImageInputs, JoinedInputs, NoInputs, warped_store, with_copies
from lmbench.tasks.settings import RegressionSettings


def run(context: TaskContext, settings: RegressionSettings) -> None:
    """Keeps predictions for every number of annotations (all draws together) and for each layer judged alone; for a head
    on discovered landmarks, also those of the backward error.

    What an interrupted run has kept already is not fitted again. Raises UsageError for a head that does not suit the
    method, or more annotations than images.
    """
    subsets = draw_subsets(len(context.train), settings.annotations, settings.draws, context.config.seed)
    entry = context.plugins.find("head", settings.head)
    for n in settings.annotations:
        _judge(context, entry, [s for s in subsets if s.n == n], layer=None)
    if entry.spec.inputs == "landmarks" and "all" in settings.annotations:
        head = entry.spec.make(settings.head_settings)
        judge_backward(context, head, {"head": f"{entry.qualified} {entry.version}", **head.description()})
    for layer in settings.layers_alone:
        if context.extractor is not None and layer in context.extractor.layers and len(context.extractor.layers) > 1:
            _judge(context, entry, [Subset("all", 0, torch.arange(len(context.train)))], layer)


def _judge(context: TaskContext, entry: Entry[HeadSpec], subsets: Sequence[Subset], layer: str | None) -> None:
    if context.kept(head_name(subsets, layer)):
        return
    fitted = fitted_heads(context, entry, subsets, layer)
    inputs = head_inputs(context, entry.spec, "test", layer)
    context.keep(
        replace(
            judged_by(context.dataset.spec, context.test, fitted.predict(inputs).numpy(), _settings(context).score),
            n_annotations=subsets[0].n,
            subset=layer,
            settings=head_protocol(context, entry, subsets, inputs),
        )
    )


def head_name(subsets: Sequence[Subset], layer: str | None = None) -> str:
    """What the heads of some subsets, and the regression's predictions by them, are called."""
    return "-".join(p for p in ("regression", layer, f"n{subsets[0].n}") if p)


def fitted_heads(
    context: TaskContext, entry: Entry[HeadSpec], subsets: Sequence[Subset], layer: str | None = None
) -> FittedHeads:
    """The regression's heads, also kept in the run's folder; those of all annotations are fitted once for all tasks."""
    config, n, name = context.config, subsets[0].n, head_name(subsets, layer)
    if name in context.fitted:
        return context.fitted[name]
    settings = _settings(context)
    head: Head = entry.spec.make(settings.head_settings)
    generator = generator_for(config.seed, "head", entry.spec.name, layer or "", str(n))
    landmarks = torch.from_numpy(np.array(context.train.landmarks))
    visible = torch.from_numpy(np.array(context.train.visible))
    inputs = head_inputs(context, entry.spec, "train", layer)
    members = subsets
    if settings.warped_copies:
        inputs, landmarks, visible, members = _with_warps(context, inputs, landmarks, visible, subsets, layer)
    fitted = head.fit(inputs, landmarks, visible, members, generator)
    state = {k: v.detach().cpu().contiguous() for k, v in fitted.state().items()}
    write_atomically(context.heads_folder / f"{name}.safetensors", safetensors.torch.save(state), listed=True)
    if n == "all" and layer is None:  # few-shot heads are many, and no other task asks for them
        context.fitted[name] = fitted
    return fitted


def head_protocol(
    context: TaskContext, entry: Entry[HeadSpec], subsets: Sequence[Subset], inputs: HeadInputs
) -> dict[str, Any]:
    """All that a number depends on besides the images: the head, what it reads, and the annotated images of each draw."""
    settings, n = _settings(context), subsets[0].n
    read: dict[str, Any] = {}
    if context.extractor is not None:
        maps = inputs.batch(torch.zeros(1, dtype=torch.long))
        read = {
            "layers": list(getattr(inputs, "layers", ())),
            "grid": list(maps.size),
            "normalise": maps.normalise,
            "dimension": maps.dim,
            "upsampling": "bilinear, align_corners=False, read at linspace(-1, 1)",
        }
    return {
        "head": f"{entry.qualified} {entry.version}",
        **entry.spec.make(settings.head_settings).description(),
        **read,
        "warped_copies": settings.warped_copies,
        "warp": vars(settings.warp) if settings.warped_copies else None,
        "draw_indices": None if n == "all" else [s.indices.tolist() for s in subsets],
    }


def _settings(context: TaskContext) -> RegressionSettings:
    found: RegressionSettings = context.config.settings_of("regression")
    return found


def judged_by(spec: DatasetSpec, test: PixelStore, predicted: np.ndarray, score: str) -> Predictions:
    """Predictions (S, N, L, 2) beside all by which the dataset judges them; ``score``: ``visible`` landmarks or ``all``."""
    return Predictions(
        task="regression",
        predicted=predicted,
        target=np.array(test.landmarks),
        visible=np.array(test.visible) if score == "visible" else np.ones_like(test.visible),
        image_ids=test.source_ids,
        image_size=test.size,
        eyes=spec.eyes,
        normaliser_annotated=spec.hidden_annotated,
        metrics=spec.metrics,
        landmark_names=spec.landmark_names,
        parts=spec.parts,
        source_scale=test.source_scale,
    )


def head_inputs(context: TaskContext, head: HeadSpec, split: str, layer: str | None = None) -> HeadInputs:
    """What a head of this kind is given for the images of a split, read by all layers or one alone."""
    if context.extractor is None:
        return inputs_without_network(head, context.train if split == "train" else context.test, context.device)
    frozen = context.frozen(split).read(context.config.read.size, context.config.read.normalise)
    return frozen.only(layer) if layer else frozen


def inputs_without_network(head: HeadSpec, pixels: PixelStore, device: torch.device) -> HeadInputs:
    """The images for a head that looks at them, else their number."""
    return ImageInputs(pixels, device) if head.inputs == "images" else NoInputs(len(pixels), pixels.size, device)


def _with_warps(
    context: TaskContext,
    inputs: HeadInputs,
    landmarks: Tensor,
    visible: Tensor,
    subsets: Sequence[Subset],
    layer: str | None,
) -> tuple[HeadInputs, Tensor, Tensor, list[Subset]]:
    """Inputs, landmarks, visibility and subsets with the warped copies of every annotated image behind the images."""
    if context.extractor is None:
        raise UsageError("regression.warped_copies needs a frozen network; this method has none. Set it to 0.")
    copies, steps = _settings(context).warped_copies, context.dataset.spec.preprocessing
    originals, members = with_copies(subsets, len(context.train), copies)
    name = f"warped-n{subsets[0].n}"
    whole = context.dataset.pixels("train", Preprocessing(steps.resize)).first(len(context.train))
    generator = generator_for(context.config.seed, "warped copies", str(subsets[0].n))
    warp = _settings(context).warp
    store = warped_store(whole, steps.crop, originals, copies, context.scratch / f"{name}-pixels", generator, warp)
    maps = freeze_maps(
        context.extractor, store, context.scratch / name, context.device, context.config.encode_batch, "encoding warps"
    ).read(context.config.read.size, context.config.read.normalise)
    joined = JoinedInputs(inputs, maps.only(layer) if layer else maps)
    all_landmarks = torch.cat([landmarks, torch.from_numpy(store.landmarks)])
    return joined, all_landmarks, torch.cat([visible, torch.from_numpy(store.visible)]), members
