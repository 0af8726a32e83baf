"""EfficientNet's tensors by timm's names, out of files that go by those of `efficientnet_pytorch`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

FIRST = "_conv_stem.weight"  # a file with this tensor goes by efficientnet_pytorch's names
AROUND = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
EXPANDING = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}  # without expansion

# What Google's EfficientNet-lite was trained on: (level - 127) / 128, levels of 0 to 255 (tensorflow/tpu, models/official/
# efficientnet/lite/efficientnet_lite_builder.py: MEAN_RGB, STDDEV_RGB). timm states 0.5 and 0.5.
LITE = re.compile(r"tf_efficientnet_lite\d")
LITE_MEAN, LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3


def by_timms_names(state: Mapping[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    """The tensors by the names that timm's network ``expected``; those with no place in it keep their own.

    efficientnet_pytorch counts blocks through (``_blocks.3``), timm within their stage (``blocks.2.0``).
    """
    blocks = list(dict.fromkeys(found[0] for name in expected if (found := re.match(r"blocks\.\d+\.\d+\.", name))))

    def renamed(name: str) -> str:
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)(\..+)", name)
        if block is None:
            module, dot, rest = name.partition(".")
            return AROUND.get(module, module) + dot + rest
        if int(block[1]) >= len(blocks):
            return name
        place = blocks[int(block[1])]
        own = EXPANDING if f"{place}conv_pwl.weight" in expected else PLAIN
        return f"{place}{own.get(block[2], block[2])}{block[3]}"

    return {renamed(name): value for name, value in state.items()}
