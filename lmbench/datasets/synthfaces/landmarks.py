"""The landmarks of synthetic faces: names in order, the eyes, and what a mirror swaps."""

from __future__ import annotations

from typing import Final

LANDMARK_NAMES: Final = (
    "left_eye", "right_eye", "left_eye_outer", "left_eye_inner", "right_eye_inner", "right_eye_outer",
    "left_brow", "right_brow", "nose_tip", "nose_bridge", "left_mouth", "right_mouth",
    "upper_lip", "lower_lip", "chin",
)  # fmt: skip
EYES: Final = (0, 1)
SWAP_PAIRS: Final = ((0, 1), (2, 5), (3, 4), (6, 7), (10, 11))
