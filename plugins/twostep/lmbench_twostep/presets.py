"""Settings of both steps: the paper's, and what smaller budgets take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Sec. 4.1: "random affine transformations, random crop and zoom operations", elastic; the strengths are ours.
STEP1_DEFORMATION: Mapping[str, Any] = {
    "rotation": 20.0,
    "zoom": (0.8, 1.25),
    "shift": 0.1,
    "shear": 0.1,
    "elastic": 0.02,
    "smoothness": 0.08,
}
STEP2_DEFORMATION: Mapping[str, Any] = {"rotation": 20.0, "elastic": 0.02, "smoothness": 0.08}  # sec. 4.1

PAPER_TRAINING: Mapping[str, Any] = {
    "epochs": 20,  # sec. 4.1, both steps
    "batch_size": 32,  # open
    "frame": 128,  # sec. 5.2
    "optimiser": {"name": "adam", "lr": 3e-4, "weight_decay": 5e-4},  # sec. 4.1
    "schedule": "exponential",
    "decay": 0.9,  # sec. 4.1: every epoch
}


def preset(width: int, contrast: Mapping[str, Any], landmarks: Mapping[str, Any]) -> dict[str, Any]:
    """A preset of both methods: F is equally wide in both steps and where it is read."""
    settings = {"width": width}
    return {
        "read": {"backbone_settings": settings},
        "stages": {
            "contrast": {"backbone_settings": settings, **contrast},
            "landmarks": {"backbone_settings": settings, **landmarks},
        },
    }


ADAM: Mapping[str, Any] = {"name": "adam", "lr": 1e-3, "weight_decay": 0.0}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": preset(
        4,
        {
            "settings": {"locations": 16, "size": 32},
            "training": {"epochs": 1, "batch_size": 8, "images": 32, "frame": 48},
        },
        {
            "settings": {"patch": 4, "size": 32},
            "training": {"epochs": 1, "batch_size": 8, "images": 32, "frame": 48},
        },
    ),
    "quick": preset(
        16,
        {
            "settings": {"size": 64, "window": 0.8},
            "training": {"epochs": 2, "batch_size": 8, "frame": 96, "optimiser": ADAM, "schedule": "cosine"},
        },
        {
            "settings": {"patch": 4, "size": 64, "window": 0.8},
            "training": {"epochs": 1, "batch_size": 8, "frame": 96, "optimiser": ADAM, "schedule": "cosine"},
        },
    ),
    "small": preset(
        16,
        {
            "settings": {"size": 64, "window": 0.5},
            "training": {"epochs": 2, "batch_size": 8, "frame": 128, "optimiser": ADAM, "schedule": "cosine"},
        },
        {
            "settings": {"patch": 4, "size": 64, "window": 0.5},
            "training": {"epochs": 1, "batch_size": 8, "frame": 128, "optimiser": ADAM, "schedule": "cosine"},
        },
    ),
    "paper": {},
}


def without_step1(given: Mapping[str, Any]) -> dict[str, Any]:
    stages = {name: stage for name, stage in given.get("stages", {}).items() if name != "contrast"}
    return {**given, "stages": stages} if given else {}
