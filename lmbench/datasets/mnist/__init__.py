"""MNIST, one digit at a time."""

from __future__ import annotations

from lmbench.geometry.framing import Framing, Preprocessing
from lmbench.specs import DatasetSpec

SPECS = [
    DatasetSpec(
        name="mnist:*",
        summary="the images of one digit, unlabelled: mnist:3 (training files), mnist:3/t10k (test files)",
        target="lmbench.datasets.mnist.loader:load",
        paper="LeCun et al. 1998",
        year=1998,
        splits={"train": None},
        preprocessing=Preprocessing(resize=45),  # Thewlis et al. 2017, supplement: 35x35 and 5 black px on each side
        framing=Framing(kind="fixed", of="a digit of MNIST", box=(-4, -4, 36, 36), image=(28, 28)),
        folder="MNIST",
        licence="CC BY-SA 3.0",
        source="the four idx files of MNIST, packed or not (yann.lecun.com/exdb/mnist)",
        notes=(
            "resized to 35x35 with a black border of 5 px, as in the 2017 paper (digits 3, 5, 6)",
            "the last 1,000 training images of a digit are left out; the paper does not say which 1,000 it leaves out",
        ),
    ),
]
