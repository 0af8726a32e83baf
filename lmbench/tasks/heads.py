"""The head of a run on its frozen output: fitted, kept and described once, for the regression and for tasks that use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from lmbench.data.pixels import PixelStore
from lmbench.errors import UsageError
from lmbench.geometry.framing import Preprocessing
from lmbench.heads.base import FittedHeads, Head, HeadInputs, Subset
from lmbench.plugins.registry import Entry
from lmbench.seeds import generator_for
from lmbench.specs import HeadSpec
from lmbench.store.files import write_atomically
from lmbench.tasks.base import TaskContext
from lmbench.tasks.inputs import ImageInputs, JoinedInputs, NoInputs, warped_store, with_copies
from lmbench.tasks.settings import RegressionSettings


def head_name(subsets: Sequence[Subset], layer: str | None = None) -> str:
    """What the heads of some subsets, and the regression's predictions by them, are called."""
    return "-".join(p for p in ("regression", layer, f"n{subsets[0].n}") if p)


class RunHead:
    """A head on the frozen output of one context."""

    def __init__(self, context: TaskContext, settings: RegressionSettings) -> None:
        self.context, self.settings = context, settings
        self.entry: Entry[HeadSpec] = context.plugins.find("head", settings.head)
        self.head: Head = self.entry.spec.make(settings.head_settings)

    def inputs(self, split: str, layer: str | None = None) -> HeadInputs:
        """What the head is given for the images of a split, read by all layers or one alone."""
        if self.context.extractor is None:
            return self.without_network(self.context.train if split == "train" else self.context.test)
        frozen = self.context.frozen(split)
        return frozen.only(layer) if layer else frozen

    def without_network(self, pixels: PixelStore) -> HeadInputs:
        """The images for a head that looks at them, else their number."""
        if self.entry.spec.inputs == "images":
            return ImageInputs(pixels, self.context.device)
        return NoInputs(len(pixels), pixels.size, self.context.device)

    def fitted(self, subsets: Sequence[Subset], layer: str | None = None) -> FittedHeads:
        """The heads of some subsets, also kept in the run's folder; those of all annotations are fitted once for all tasks."""
        context, n, name = self.context, subsets[0].n, head_name(subsets, layer)
        if name in context.fitted:
            return context.fitted[name]
        generator = generator_for(context.config.seed, "head", self.entry.spec.name, layer or "", str(n))
        landmarks = torch.from_numpy(np.array(context.train.landmarks))
        visible = torch.from_numpy(np.array(context.train.visible))
        inputs, members = self.inputs("train", layer), subsets
        if self.settings.warped_copies:
            inputs, landmarks, visible, members = self._with_warps(inputs, landmarks, visible, subsets, layer)
        fitted = self.head.fit(inputs, landmarks, visible, members, generator)
        state = {k: v.detach().cpu().contiguous() for k, v in fitted.state().items()}
        write_atomically(context.heads_folder / f"{name}.safetensors", safetensors.torch.save(state), listed=True)
        if n == "all" and layer is None:  # few-shot heads are many, and no other task asks for them
            context.fitted[name] = fitted
        return fitted

    def description(self) -> dict[str, Any]:
        """The head with all its settings in force."""
        return {"head": f"{self.entry.qualified} {self.entry.version}", **self.head.description()}

    def protocol(self, subsets: Sequence[Subset], inputs: HeadInputs, fitted: FittedHeads) -> dict[str, Any]:
        """All that a number depends on besides the images: the head, what it reads, and the annotated images of each draw.

        ``fitted``: what a head that chooses by cross-validation chose for each draw, in words.
        """
        read: dict[str, Any] = {}
        if self.context.extractor is not None:
            maps = inputs.batch(torch.zeros(1, dtype=torch.long))
            read = {
                "layers": list(getattr(inputs, "layers", ())),
                "grid": list(maps.size),
                "normalise": maps.normalise,
                "dimension": maps.dim,
                "upsampling": "bilinear, align_corners=False, read at linspace(-1, 1)",
            }
        return {
            **self.description(),
            **read,
            "warped_copies": self.settings.warped_copies,
            "warp": asdict(self.settings.warp) if self.settings.warped_copies else None,
            **({"fitted": list(said)} if (said := getattr(fitted, "said", ())) else {}),
            "draw_indices": None if subsets[0].n == "all" else [s.indices.tolist() for s in subsets],
        }

    def _with_warps(
        self, inputs: HeadInputs, landmarks: Tensor, visible: Tensor, subsets: Sequence[Subset], layer: str | None
    ) -> tuple[HeadInputs, Tensor, Tensor, list[Subset]]:
        """Inputs, landmarks, visibility and subsets with the warped copies of every annotated image behind the images."""
        context, copies, n = self.context, self.settings.warped_copies, str(subsets[0].n)
        if context.extractor is None:
            raise UsageError("regression.warped_copies needs a frozen network; this method has none. Set it to 0.")
        steps, name = context.dataset.spec.preprocessing, f"warped-n{n}"
        originals, members = with_copies(subsets, len(context.train), copies)
        whole = context.dataset.pixels("train", Preprocessing(steps.resize)).first(len(context.train))
        generator = generator_for(context.config.seed, "warped copies", n)
        place = context.scratch / f"{name}-pixels"
        store = warped_store(whole, steps.crop, originals, copies, place, generator, self.settings.warp)
        maps = context.freeze(store, name, "encoding warps")
        joined = JoinedInputs(inputs, maps.only(layer) if layer else maps)
        all_landmarks = torch.cat([landmarks, torch.from_numpy(store.landmarks)])
        return joined, all_landmarks, torch.cat([visible, torch.from_numpy(store.visible)]), members
