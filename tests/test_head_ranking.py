"""The conditioned head ranks features as the papers' head does: the proof on real faces, run by hand (`-m slow`)."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from made_heads import conditioned_head, linear_head

from lmbench.backbones import build_backbone
from lmbench.data.opening import open_dataset
from lmbench.features import Extractor
from lmbench.heads.base import Subset
from lmbench.heads.frozen import freeze_maps
from lmbench.metrics.base import Predictions
from lmbench.metrics.scoring import iod
from lmbench.plugins.loading import get_plugins
from lmbench.seeds import initialising

CPU = torch.device("cpu")
GRID, FIT, JUDGED = 24, 500, 500

# Untrained features of widely different worth: what they are worth is known from neither head.
FEATURES = {
    "conv2_x": ("resnet18", ("conv2_x",)),
    "conv3_x": ("resnet18", ("conv3_x",)),
    "conv4_x": ("resnet18", ("conv4_x",)),
    "conv5_x": ("resnet18", ("conv5_x",)),
    "conv5_x + conv4_x": ("resnet18", ("conv5_x", "conv4_x")),
    "dense64": ("resnet18_fpn", ("dense",)),
}


def errors(test_data: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """(papers' head, conditioned head): IOD in percent on test images of ``aflw_split``, for each of FEATURES."""
    plugins = get_plugins()
    dataset = open_dataset("aflw_split", test_data, plugins)
    train, test = dataset.pixels("train").first(FIT), dataset.pixels("test").first(JUDGED)
    landmarks, visible = torch.from_numpy(np.array(train.landmarks)), torch.from_numpy(np.array(train.visible))
    everything = [Subset("all", 0, torch.arange(FIT))]
    found = {}
    for name, (backbone, layers) in FEATURES.items():
        with initialising(0, "weights", backbone):
            extractor = Extractor(build_backbone(backbone, {}, plugins), layers)
        maps = [
            freeze_maps(extractor, p, folder / name / n, CPU).read(GRID, "none")
            for n, p in (("train", train), ("test", test))
        ]
        values = []
        for head in (linear_head(recipe="cl_faces"), conditioned_head()):
            fitted = head.fit(maps[0], landmarks, visible, everything, torch.Generator().manual_seed(0))
            predicted = fitted.predict(maps[1]).numpy()
            judged = Predictions(
                task="regression", predicted=predicted, target=np.array(test.landmarks),
                visible=np.array(test.visible), image_ids=test.source_ids, image_size=test.size, eyes=(0, 1),
            )  # fmt: skip
            values.append(float(iod(judged).aggregate[0]))
        found[name] = (values[0], values[1])
    return found


@pytest.mark.slow
def test_both_heads_rank_features_alike(test_data, tmp_path, record_property):
    found = errors(test_data, tmp_path)
    for name, (papers, conditioned) in found.items():
        print(f"{name:20s} papers' head {papers:6.2f} %  conditioned {conditioned:6.2f} %")
    record_property("errors", found)
    pairs = list(itertools.combinations(found.values(), 2))
    agreeing = sum((a[0] < b[0]) == (a[1] < b[1]) for a, b in pairs)
    print(f"pairs in the same order: {agreeing} of {len(pairs)}")
    assert agreeing >= 0.8 * len(pairs)
