"""The embedded dataset: procedural faces, rendered once into the cache."""

from __future__ import annotations

import io
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from lmbench import progress
from lmbench.data.schema import landmark_dataset
from lmbench.datasets.synthfaces import SPLIT_SIZES
from lmbench.datasets.synthfaces.loader.render import render_face


def load(root: Path) -> dict[str, datasets.Dataset]:
    """Both splits, rendered (about ten seconds; lmbench keeps the result in its cache)."""
    del root
    return {split: _render_split(split, count) for split, count in SPLIT_SIZES.items()}


def _render_split(split: str, count: int) -> datasets.Dataset:
    encoded, landmarks, visible, identity = [], [], [], []
    with progress.task(f"rendering synthfaces {split}", count) as bar:
        for i in range(count):
            face = render_face(split, i)
            buffer = io.BytesIO()
            Image.fromarray(face.image).save(buffer, "PNG", compress_level=1)
            encoded.append(buffer.getvalue())
            landmarks.append(face.landmarks)
            visible.append(face.visible)
            identity.append(face.identity)
            bar.advance()
    ids = [f"{split}/{i:05}" for i in range(count)]
    return landmark_dataset(encoded, ids, np.stack(landmarks), np.stack(visible), identity, where=f"synthfaces {split}")
