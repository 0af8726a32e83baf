"""Every number of the recipe, preset by preset. Plain data: no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Reference code: JPEG noise, random resized crop of 136, colour jitter, lighting, and the central 96 of that.
PAPER_VIEW: Mapping[str, Any] = {
    "size": 136,
    "centre": 96,
    "scale": (0.2, 1.0),
    "jitter": (0.4, 0.4, 0.4, 0.0),
    "jitter_p": 1.0,
    "grey_p": 0.0,
    "jpeg": True,
    "lighting": 0.1,
}
PAPER_MOCO: Mapping[str, Any] = {
    "epochs": 800,  # sec. 4.1
    "batch_size": 256,  # sec. 4.1
    "frame": 136,  # sec. 4.1
    "optimiser": {"name": "sgd", "lr": 0.03, "momentum": 0.9, "weight_decay": 1e-4},  # reference code
    "schedule": "cosine",
}
PAPER_PROJECTION: Mapping[str, Any] = {  # reference code
    "epochs": 10,
    "batch_size": 32,
    "frame": 136,
    "optimiser": {"name": "adam", "lr": 1e-3, "betas": (0.5, 0.999), "weight_decay": 5e-4},
    "schedule": "cosine",
    "final_lr": 8e-4,
}
PAPER_NMF: Mapping[str, Any] = {"epochs": 1, "images": 4096, "batch_size": 32, "frame": 136}
NMF_VIEW: Mapping[str, Any] = {
    "size": 136,
    "centre": 96,
    "scale": (1.0, 1.0),
    "ratio": (1.0, 1.0),
    "jitter_p": 0.0,
    "grey_p": 0.0,
}
# Birds are resized to 96x96 without cropping, and so are their views (sec. 4.1, reference code).
PAPER_BIRDS: Mapping[str, Any] = {
    "stages": {
        name: {"settings": {"view": {"size": 96, "centre": 0}}, "training": {"frame": 96}}
        for name in ("moco", "projection", "nmf")
    }
}

# What a small budget needs (README, "What matters at small scale").
SMALL_VIEW: Mapping[str, Any] = {
    "size": 64,
    "centre": 0,
    "window": 0.5,
    "scale": (0.6, 1.0),
    "ratio": (0.9, 1.1),
    "rotation": 10.0,
    "jitter": (0.4, 0.4, 0.4, 0.1),
    "jpeg": False,
    "lighting": 0.0,
    "blur_p": 0.3,
}
SMALL_ADAM: Mapping[str, Any] = {"name": "adamw", "lr": 1e-4, "weight_decay": 1e-4}
SMALL: Mapping[str, Any] = {
    "moco": {
        "settings": {"queue": 2048, "momentum": 0.99, "groups": 1, "batch_norm": "frozen", "view": SMALL_VIEW},
        "training": {
            "epochs": 3,
            "least_steps": 186,  # six times `quick`'s, at a fifth of its rate
            "images": 4000,
            "batch_size": 64,
            "frame": 128,
            "optimiser": {**SMALL_ADAM, "lr": 2e-5},  # three epochs: as far in all as quick goes in one
            "warmup_epochs": 0.2,
        },
    },
    "projection": {
        "settings": {"view": {**SMALL_VIEW, "size": 96}},
        "training": {
            "epochs": 1,
            "least_steps": 100,  # as `quick` on synthfaces
            "images": 4000,
            "batch_size": 16,
            "frame": 128,
            "optimiser": {**PAPER_PROJECTION["optimiser"], "lr": 2e-3},
        },
    },
    "nmf": {
        "settings": {"view": {"size": 96, "centre": 0, "window": 0.6}, "iterations": 50},
        "training": {"images": 1024, "batch_size": 32, "frame": 128},
    },
}
QUICK_VIEW: Mapping[str, Any] = {**SMALL_VIEW, "size": 48, "window": 0.8}
QUICK: Mapping[str, Any] = {
    "moco": {
        "settings": {**SMALL["moco"]["settings"], "queue": 1024, "view": QUICK_VIEW},
        "training": {
            **SMALL["moco"]["training"],
            "epochs": 1,
            "least_steps": 31,  # as on synthfaces
            "images": 2000,
            "frame": 96,
            "optimiser": SMALL_ADAM,
        },
    },
    "projection": {
        "settings": {"view": {**QUICK_VIEW, "size": 96}},
        "training": {**SMALL["projection"]["training"], "images": 1600, "frame": 96},
    },
    "nmf": {
        "settings": {"view": {"size": 96, "centre": 0, "window": 0.8}, "iterations": 50},
        "training": {"images": 512, "batch_size": 32, "frame": 96},
    },
}
SMOKE: Mapping[str, Any] = {
    "moco": {
        "settings": {"dim": 32, "queue": 32, "groups": 2, "view": {"size": 40, "centre": 32}},
        "training": {"epochs": 2, "batch_size": 16, "images": 48, "frame": 48},
    },
    "projection": {
        "settings": {"view": {"size": 48, "centre": 0}},
        "training": {"epochs": 1, "batch_size": 8, "images": 32, "frame": 48},
    },
    "nmf": {
        "settings": {"view": {"size": 48, "centre": 0}, "samples": 512, "iterations": 5},
        "training": {"batch_size": 8, "images": 32, "frame": 48},
    },
}

PRESETS: dict[str, Mapping[str, Any]] = {
    "smoke": {"stages": SMOKE},
    "quick": {"stages": QUICK},
    "small": {"stages": SMALL, "probe": {"every": 1, "images": 400, "steps": 100}},
    "paper": {"backbone": "resnet50"},
}
