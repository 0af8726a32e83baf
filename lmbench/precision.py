"""Where bf16 must not go: what is computed in float32 although the training around it runs under autocast."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

HALF = (torch.bfloat16, torch.float16)


def float32(function: Callable[P, T]) -> Callable[P, T]:
    """The function without autocast: half-precision tensors among its arguments are cast to float32, others stay as they are.

    For losses whose logits, distances or coordinates bf16 cannot tell apart (it has 8 bits: 19.9 and 20.0 are one
    number). The device is that of the first tensor among the arguments. Tensors inside of tuples and the like are not
    looked at.
    """

    @functools.wraps(function)
    def exact(*args: P.args, **kwargs: P.kwargs) -> T:
        given = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        device = given[0].device.type if given else "cpu"
        with torch.autocast(device, enabled=False):
            return function(*map(_full, args), **{k: _full(v) for k, v in kwargs.items()})  # type: ignore[arg-type]

    return exact


def _full(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value
