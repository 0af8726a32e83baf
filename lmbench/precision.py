"""Where bf16 and TF32 must not go: what is computed in float32 although the training around it is not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

HALF = (torch.bfloat16, torch.float16)


def float32(function: Callable[P, T]) -> Callable[P, T]:
    """The function without autocast: half-precision tensors among its arguments are cast to float32, others stay as they are.

    Nor are a GPU's convolutions in it TF32: a frozen network says the same there as on the CPU. For losses whose logits,
    distances or coordinates bf16 cannot tell apart (it has 8 bits: 19.9 and 20.0 are one number). The device is that of
    the first tensor among the arguments. Tensors inside of tuples and the like are not looked at.
    """

    @functools.wraps(function)
    def exact(*args: P.args, **kwargs: P.kwargs) -> T:
        given = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        device = given[0].device.type if given else "cpu"
        with torch.autocast(device, enabled=False), without_tf32(device):
            return function(*map(_full, args), **{k: _full(v) for k, v in kwargs.items()})  # type: ignore[arg-type]

    return exact


@contextmanager
def without_tf32(device: str) -> Iterator[None]:
    """cuDNN at full precision: by default it rounds what float32 convolutions multiply to 10 bits."""
    if device != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _full(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value
