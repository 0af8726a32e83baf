"""What `lmbench predict` costs over the bare network, as a ratio of two measurements side by side."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lmbench.backbones.resnet import build
from lmbench.backbones.settings import ResNetSettings
from lmbench.detecting.detector import BATCH, Detector
from lmbench.detecting.framer import Framer
from lmbench.detecting.regions import Region
from lmbench.features import Extractor
from lmbench.geometry.framing import WHOLE_IMAGE, Preprocessing
from lmbench.heads.converged import FittedConverged

SIDE, LANDMARKS, ROUNDS = 136, 5, 3


def detector() -> Detector:
    """A ResNet-18 under a head of five landmarks on its last map, at the size that the papers train on."""
    torch.manual_seed(0)
    network = build(ResNetSettings(), "resnet18").eval()
    state = {
        "filters": torch.randn(1, LANDMARKS, 512), "centres": torch.zeros(1, LANDMARKS, 2),
        "precision": torch.ones(1, LANDMARKS), "linear": torch.randn(1, 2 * LANDMARKS, 2 * LANDMARKS),
        "offset": torch.zeros(1, 2 * LANDMARKS), "cells": torch.tensor(48),
    }  # fmt: skip
    extractor = Extractor(network, ("conv5_x",), 48, "none")
    framer = Framer("speed", Preprocessing(SIDE), WHOLE_IMAGE)
    return Detector(framer, extractor, FittedConverged(state), "maps", tuple("abcde"), torch.device("cpu"))


@pytest.mark.slow
def test_predicting_from_files_costs_at_most_a_fifth_over_the_bare_forward_pass(
    tmp_path: Path, record_property
) -> None:
    count, made = 2 * BATCH, detector()
    noise = np.random.default_rng(0)
    for i in range(count):
        pixels = noise.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((256, 256), Image.Resampling.BICUBIC).save(tmp_path / f"{i:04}.jpg")
    regions = [Region(path) for path in sorted(tmp_path.iterdir())]
    batch = torch.rand(BATCH, 3, SIDE, SIDE)
    made.extractor.maps(batch)
    ratios = []
    for _ in range(ROUNDS):  # side by side, so that what else the machine does falls on both
        started = time.perf_counter()
        for _ in range(count // BATCH):
            made.extractor.maps(batch)
        between = time.perf_counter()
        assert sum(1 for _ in made.detect(regions)) == count
        ratios.append((time.perf_counter() - between) / (between - started))
    record_property("predicting over the bare forward pass", round(min(ratios), 3))
    assert min(ratios) <= 1.2, f"predicting costs {min(ratios):.2f} times the bare forward passes; rounds: {ratios}"
