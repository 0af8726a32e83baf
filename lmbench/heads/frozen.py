"""Frozen maps of a split: computed once, at native resolution, kept in half precision on disk, mapped when read."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmbench import progress
from lmbench.config.model import digest_of
from lmbench.data.mapped import new_array_file
from lmbench.data.pixels import PixelStore
from lmbench.errors import UsageError
from lmbench.features import Extractor, FeatureMaps, Normalise
from lmbench.heads.base import channel_statistics
from lmbench.store import manifests
from lmbench.store.files import building, locked

STATISTICS_BATCH = 256
NOTE = "maps.json"


class FrozenMaps:
    """Head inputs read from the maps of N images on disk; ``read`` and ``only`` give other views of the same files."""

    def __init__(
        self,
        folder: Path,
        layers: Sequence[str],
        image_size: int,
        device: torch.device,
        size: int = 48,
        normalise: Normalise = "none",
    ) -> None:
        self.folder, self.layers, self.image_size, self.device = folder, tuple(layers), image_size, device
        self.size, self.normalise = size, normalise
        self._maps = [np.load(folder / f"{layer}.npy", mmap_mode="r") for layer in self.layers]
        found = "landmarks.npy" in manifests.listed(folder)
        self._landmarks = torch.from_numpy(np.load(folder / "landmarks.npy")) if found else None

    def __len__(self) -> int:
        return len(self._maps[0])

    def batch(self, indices: Tensor) -> FeatureMaps:
        """The maps of some images, float32 on the device."""
        rows = indices.cpu().numpy()
        maps = (torch.from_numpy(m[rows]).to(self.device).float() for m in self._maps)
        return FeatureMaps(tuple(maps), (self.size, self.size), self.normalise)

    def only(self, layer: str) -> FrozenMaps:
        """The same images read through one layer alone. Raises UsageError for a layer that is not there."""
        if layer not in self.layers:
            raise UsageError(f"layer {layer!r} is not among the frozen maps; there are {', '.join(self.layers)}.")
        return FrozenMaps(self.folder, [layer], self.image_size, self.device, self.size, self.normalise)

    def read(self, size: int, normalise: Normalise) -> FrozenMaps:
        """The same maps read on another grid or with another normalisation."""
        return FrozenMaps(self.folder, self.layers, self.image_size, self.device, size, normalise)

    def statistics(self, cells: int = 0) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every channel (dim,), see `HeadInputs.statistics`."""
        return channel_statistics((self.batch(part) for part in torch.arange(len(self)).split(STATISTICS_BATCH)), cells)

    def landmarks(self) -> Tensor:
        """(N, K, 2) discovered landmarks in pixels. Raises UsageError where the method discovers none."""
        if self._landmarks is None:
            raise UsageError(
                "this head needs discovered landmarks, and the method's network gives none; "
                "choose another: --set regression.head=..."
            )
        return self._landmarks


def freeze_maps(
    extractor: Extractor,
    pixels: PixelStore,
    folder: Path,
    device: torch.device,
    batch_size: int = 64,
    label: str = "encoding",
) -> FrozenMaps:
    """The frozen maps of all images of a store, computed where ``folder`` does not hold them whole.

    Maps of other images, or of another network, are never taken for them.
    """
    network = digest_of_state(extractor.network.state_dict())
    key = digest_of([pixels.key, len(pixels), extractor.layers, network, str(device), batch_size])
    if folder.is_dir() and _key_in(folder) != key:
        with locked(folder):
            shutil.rmtree(folder, ignore_errors=True)
    with building(folder) as draft:
        if draft is not None:
            _encode(extractor, pixels, draft, device, batch_size, label)
            note = {"key": key, "layers": extractor.layers, "images": len(pixels)}
            (draft / NOTE).write_text(json.dumps(note) + "\n", encoding="utf-8")
    size = extractor.size[0]
    return FrozenMaps(folder, extractor.layers, pixels.size, device, size, extractor.normalise)


def halved(maps: Tensor) -> Tensor:
    """Maps in the half precision that they are kept in; heads never see more of them, in a run or after it."""
    limit = float(torch.finfo(torch.float16).max)
    return maps.float().clamp(-limit, limit).half()


def _encode(
    extractor: Extractor, pixels: PixelStore, draft: Path, device: torch.device, batch_size: int, label: str
) -> None:
    files: list[np.memmap[Any, np.dtype[Any]]] = []
    points: list[Tensor] = []
    done = 0
    with progress.task(label, len(pixels)) as bar:
        for images in pixels.batches(batch_size, device):
            maps = extractor.maps(images)
            if not files:
                files = [
                    new_array_file(draft / f"{layer}.npy", np.float16, (len(pixels), *m.shape[1:]))
                    for layer, m in zip(extractor.layers, maps.maps, strict=True)
                ]
            for file, m in zip(files, maps.maps, strict=True):
                file[done : done + len(images)] = halved(m).cpu().numpy()
            if extractor.discovers_landmarks:
                points.append(extractor.landmarks(images).float().cpu())
            done += len(images)
            bar.advance(len(images))
    for file in files:
        file.flush()
    if points:
        np.save(draft / "landmarks.npy", torch.cat(points).numpy())


def _key_in(folder: Path) -> str | None:
    try:
        found = json.loads((folder / NOTE).read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(found)


def digest_of_state(state: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors by name: all that a network, or a head, computes with."""
    total = hashlib.sha256()
    for name, value in state.items():
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
