"""All randomness: generators seeded by (run seed, purpose), never global state or call order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_for(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed that depends on nothing but the run's seed and the purpose."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for a purpose."""
    return torch.Generator(device=device).manual_seed(seed_for(seed, *purpose))


@contextmanager
def initialising(seed: int, *purpose: str | int) -> Iterator[None]:
    """A block in which torch's global generator is seeded for a purpose (module initialisers know no other), then restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, *purpose))
        yield
