"""LEAD's settings: the paper's, and what smaller budgets take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# BYOL's two augmentations (Grill et al. 2020, appendix B), which LEAD follows in both stages (supplement D): the first
# always blurred, solarisation for the second alone.
BYOL_VIEW: Mapping[str, Any] = {"size": 96, "scale": (0.08, 1.0), "flip_p": 0.5, "blur_p": 1.0, "solarise_p": 0.0}
BYOL_SECOND: Mapping[str, Any] = {"blur_p": 0.1, "solarise_p": 0.2}

PAPER_STAGE1 = {
    "epochs": 200,  # sec. 4
    "batch_size": 256,  # sec. 4
    "frame": 136,
    "optimiser": {"name": "sgd", "lr": 0.03, "momentum": 0.9, "weight_decay": 1e-4},  # lr: sec. 4; the rest is open
    "schedule": "cosine",
    "warmup_epochs": 2,  # supplement D
}
PAPER_STAGE2 = {**PAPER_STAGE1, "epochs": 20}  # sec. 4 (supplement D: 10)
# Table 6's stage 1 of CL is CL's own (its reference code, as the method contrastlandmarks has it).
CL_VIEW: Mapping[str, Any] = {
    "size": 136,
    "centre": 96,
    "scale": (0.2, 1.0),
    "jitter": (0.4, 0.4, 0.4, 0.0),
    "jitter_p": 1.0,
    "grey_p": 0.0,
    "jpeg": True,
    "lighting": 0.1,
}
CL_MOCO = {**PAPER_STAGE1, "epochs": 800, "warmup_epochs": 0.0}
CL_GROUPS = 4  # ShuffleBN on 4 GPUs

PAPER_NMF = {"epochs": 1, "images": 4096, "batch_size": 32, "frame": 136}  # open
# Plain images, framed as the test crops are.
NMF_VIEW: Mapping[str, Any] = {
    **BYOL_VIEW,
    "window": 96 / 136,
    "scale": (1.0, 1.0),
    "jitter_p": 0.0,
    "grey_p": 0.0,
    "blur_p": 0.0,
}
# Birds are resized to 96x96 without cropping (Cheng et al., sec. 4.1, whose protocol LEAD follows).
PAPER_BIRDS: Mapping[str, Any] = {
    "stages": {
        **{name: {"training": {"frame": 96}} for name in ("byol", "distillation", "projection")},
        "moco": {"settings": {"view": {"size": 96, "centre": 0}}, "training": {"frame": 96}},
        "nmf": {"settings": {"view": {"window": 1.0}}, "training": {"frame": 96}},
    }
}

# What a small budget needs (README, "What matters at small scale"): views framed as the target's crops are (the inner
# half of an aligned CelebA frame), no flips (left and right eyes must stay apart), mild crops, strong colour.
SMALL_VIEW: Mapping[str, Any] = {
    "size": 96,
    "window": 0.5,
    "scale": (0.85, 1.0),
    "ratio": (0.9, 1.1),
    "flip_p": 0.0,
    "jitter": (0.4, 0.4, 0.4, 0.1),
    "jitter_p": 1.0,
    "blur_p": 0.3,
    "solarise_p": 0.1,
}
SMALL_SECOND: Mapping[str, Any] = {name: SMALL_VIEW[name] for name in BYOL_SECOND}  # both views alike
# As many optimiser steps as `quick` takes on synthfaces, the shortest training whose gain over the untrained network is
# measured: 2 epochs of 2,000 images in batches of 64, then 1,280 images in batches of 16.
LEAST_STEPS1, LEAST_STEPS2 = 62, 80
SMALL_ADAM: Mapping[str, Any] = {"name": "adamw", "lr": 2e-4, "weight_decay": 1e-4}
SMALL_STAGE1: Mapping[str, Any] = {
    "settings": {
        "hidden": 1024,
        "dim": 128,
        "momentum": 0.99,
        "batch_norm": "frozen",
        "view1": SMALL_VIEW,
        "view2": SMALL_VIEW,
    },
    "training": {
        "epochs": 5,
        "least_steps": LEAST_STEPS1,
        "batch_size": 64,
        "frame": 192,
        "optimiser": SMALL_ADAM,
        "warmup_epochs": 0.5,
    },
}
SMALL_STAGE2: Mapping[str, Any] = {
    "settings": {"teacher_temperature": 0.02, "view": SMALL_VIEW, "view2": SMALL_SECOND},
    "training": {
        "epochs": 1,
        "least_steps": LEAST_STEPS2,
        "images": 6000,
        "batch_size": 16,
        "frame": 192,
        "optimiser": {**SMALL_ADAM, "lr": 1e-3},
        "warmup_epochs": 0.1,
    },
}
# The other paper's stages at small scale: what differs from its own defaults, on LEAD's views.
PLAIN_VIEW: Mapping[str, Any] = {"centre": 0, "jpeg": False, "lighting": 0.0, "grey_p": 0.2}
SMALL_MOCO: Mapping[str, Any] = {
    "settings": {
        "queue": 2048,
        "momentum": 0.99,
        "groups": 1,
        "batch_norm": "frozen",
        "view": {**PLAIN_VIEW, **SMALL_VIEW},
    },
    "training": SMALL_STAGE1["training"],
}
SMALL_PROJECTION: Mapping[str, Any] = {"settings": {"view": SMALL_VIEW}, "training": SMALL_STAGE2["training"]}
SMALL_NMF: Mapping[str, Any] = {
    "settings": {"view": {**SMALL_VIEW, "scale": (1.0, 1.0), "jitter_p": 0.0, "grey_p": 0.0, "blur_p": 0.0}},
    "training": {"epochs": 1, "images": 1024, "batch_size": 32, "frame": 192},
}
QUICK_VIEW: Mapping[str, Any] = {**SMALL_VIEW, "size": 48, "window": 0.8, "scale": (0.6, 1.0), "rotation": 10.0}
QUICK_ADAM: Mapping[str, Any] = {**SMALL_ADAM, "lr": 5e-4}

QUICK_STAGE1 = {**SMALL_STAGE1["training"], "epochs": 2, "frame": 96, "optimiser": QUICK_ADAM}
QUICK_STAGE2 = {**SMALL_STAGE2["training"], "epochs": 1, "images": 1280, "frame": 96}
QUICK_DENSE_VIEW: Mapping[str, Any] = {**QUICK_VIEW, "size": 96, "scale": (0.7, 1.0)}
SMOKE_STAGE1 = {"epochs": 2, "batch_size": 16, "images": 48, "frame": 48}
SMOKE_STAGE2 = {"epochs": 1, "batch_size": 8, "images": 32, "frame": 48}

PRESETS: dict[str, Mapping[str, Any]] = {
    "smoke": {
        "stages": {
            "byol": {
                "settings": {"hidden": 64, "dim": 32, "view1": {"size": 32}, "view2": {"size": 32}},
                "training": SMOKE_STAGE1,
            },
            "moco": {
                "settings": {"dim": 32, "queue": 32, "groups": 2, "view": {"size": 40, "centre": 32}},
                "training": SMOKE_STAGE1,
            },
            "distillation": {"settings": {"projection": 64, "view": {"size": 48}}, "training": SMOKE_STAGE2},
            "projection": {"settings": {"view": {"size": 48}}, "training": SMOKE_STAGE2},
            "nmf": {"settings": {"samples": 512, "iterations": 5, "view": {"size": 48}}, "training": SMOKE_STAGE2},
        }
    },
    "quick": {
        "stages": {
            "byol": {
                "settings": {**SMALL_STAGE1["settings"], "view1": QUICK_VIEW, "view2": QUICK_VIEW},
                "training": QUICK_STAGE1,
            },
            "moco": {
                "settings": {**SMALL_MOCO["settings"], "view": {**PLAIN_VIEW, **QUICK_VIEW}},
                "training": QUICK_STAGE1,
            },
            "distillation": {
                "settings": {**SMALL_STAGE2["settings"], "view": QUICK_DENSE_VIEW},
                "training": QUICK_STAGE2,
            },
            "projection": {"settings": {"view": QUICK_DENSE_VIEW}, "training": QUICK_STAGE2},
            "nmf": {
                "settings": {"view": {**SMALL_NMF["settings"]["view"], "window": 0.8}},
                "training": {**SMALL_NMF["training"], "images": 512, "frame": 96},
            },
        }
    },
    "small": {
        "stages": {
            "byol": SMALL_STAGE1,
            "moco": SMALL_MOCO,
            "distillation": SMALL_STAGE2,
            "projection": SMALL_PROJECTION,
            "nmf": SMALL_NMF,
        },
        "probe": {"every": 1, "images": 400, "steps": 100},
    },
    "paper": {"backbone": "resnet50"},
}
