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

# Cats are 100x100 (sec. 6), and patches 10x10 there (sec. 4.1).
PAPER_CATS: Mapping[str, Any] = {
    "stages": {
        "contrast": {"training": {"frame": 100}},
        "landmarks": {"settings": {"patch": 10}, "training": {"frame": 100}},
    }
}

# Sec. 4.1: "the combined loss L_eqv + L_div + L_variance", landmarks in pixels (sec. 2).
PRINTED: Mapping[str, Any] = {"terms": "printed", "equivariance": 1.0, "diversity": 1.0, "variance": 1.0}

# What a small budget needs (README, "What differs at small scale"): half the resolution, views of what lies in the middle
# (the face), larger movements, colours that tell nothing, rivals of the own image alone; shifts in step 2 as well.
COLOURS: Mapping[str, Any] = {"jitter": (0.4, 0.4, 0.4, 0.2), "grey_p": 0.2}
SMALL_CONTRAST: Mapping[str, Any] = {
    "deformation": {"rotation": 30.0, "zoom": (0.75, 1.33), "shift": 0.2, "elastic": 0.03},
    "appearance": COLOURS,
    "recolour": "both",
    "rivals": "image",
}
# Wide heatmaps: with narrow ones, landmarks jump from one image to the next at this size of F.
WIDE_LANDMARKS: Mapping[str, Any] = {
    "deformation": {"shift": 0.1, "zoom": (0.85, 1.2)},
    "diversity": 0.05,
    "variance": 0.001,
    "patch": 2,
}
ADAM: Mapping[str, Any] = {"name": "adam", "lr": 3e-3, "weight_decay": 0.0}
GENTLE_ADAM: Mapping[str, Any] = {**ADAM, "lr": 1e-3}


def preset(network: Mapping[str, Any], contrast: Mapping[str, Any], landmarks: Mapping[str, Any]) -> dict[str, Any]:
    """A preset of both methods: F is built alike in both steps and where it is read."""
    return {
        "read": {"backbone_settings": network},
        "stages": {
            "contrast": {"backbone_settings": network, **contrast},
            "landmarks": {"backbone_settings": network, **landmarks},
        },
    }


def without_step1(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same preset for the ablation, which has no stage ``contrast``."""
    stages = {name: stage for name, stage in given.get("stages", {}).items() if name != "contrast"}
    return {**given, "stages": stages} if given else {}


def ablation(presets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The presets of ``end_to_end``; its one step of `quick` has the epochs that ``twostep`` has in both."""
    found = {name: without_step1(given) for name, given in presets.items()}
    landmarks = found["quick"]["stages"]["landmarks"]
    found["quick"]["stages"]["landmarks"] = {
        **landmarks,
        "training": {**landmarks["training"], "epochs": 5, "least_steps": 2500},
    }
    return found


LEAST_STEPS = (750, 1000)  # of the two steps, as many as `quick` takes on synthfaces


def small_training(step: int, batch_size: int, epochs: int, frame: int) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "least_steps": LEAST_STEPS[step - 1],
        "batch_size": batch_size,
        "frame": frame,
        "optimiser": ADAM,
        "schedule": "cosine",
        "final_lr": 0.1,
        "warmup_epochs": 0.05,
    }


SMOKE_TRAINING: Mapping[str, Any] = {"epochs": 1, "batch_size": 8, "images": 32, "frame": 48}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": preset(
        {"width": 4, "scale": 0.5},
        {"settings": {"locations": 16, "size": 32}, "training": SMOKE_TRAINING},
        {"settings": {"patch": 4, "size": 32}, "training": SMOKE_TRAINING},
    ),
    "quick": preset(
        {"width": 8, "scale": 0.5},
        {"settings": {**SMALL_CONTRAST, "size": 64, "window": 2 / 3}, "training": small_training(1, 8, 3, 96)},
        {"settings": WIDE_LANDMARKS, "training": {**small_training(2, 4, 2, 96), "optimiser": GENTLE_ADAM}},
    ),
    "small": preset(
        {"width": 16, "scale": 0.5},
        {"settings": {**SMALL_CONTRAST, "size": 96, "window": 0.5}, "training": small_training(1, 8, 1, 128)},
        {
            "settings": {**WIDE_LANDMARKS, "size": 96, "window": 0.5},
            "training": {**small_training(2, 8, 1, 128), "optimiser": GENTLE_ADAM},
        },
    ),
    "paper": {"stages": {"landmarks": {"settings": PRINTED}}},
}
