"""Weights out of files that others made: what the file is, the one encoder in it, and a network filled with it or not at all.

Nothing is ever unpickled but tensors and plain values; there is no way to ask for more. A checkpoint rarely holds a bare
state dict: training scripts wrap networks (``module.``, ``_orig_mod.``), keep them beside their teachers and queues
(``teacher.backbone.``, ``encoder_q.``) and put all that into dictionaries (``state_dict``, ``model``). So an encoder is looked
for by the names of its own first tensors, wherever in the file they stand.
"""

from __future__ import annotations

import argparse
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmbench import progress
from lmbench.errors import DataError

SETTING = "--set network.backbone_settings.weights"
DEEPEST = 8
# Of two copies of an encoder the one on the right is taken: what the authors of these methods evaluate.
TAKEN = {
    "student": "teacher",  # DINO, iBOT, DINOv2
    "encoder_k": "encoder_q",  # MoCo
    "momentum_encoder": "base_encoder",  # MoCo v3
    "target_encoder": "online_encoder",  # BYOL
    "target_network": "online_network",
    "backbone_momentum": "backbone",  # lightly
    "state_dict": "state_dict_ema",  # timm
    "model": "model_ema",
}
WRAPPINGS = (
    "state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "teacher", "student", "encoder_q",
    "base_encoder", "online_encoder", "online_network", "network", "net", "backbone", "encoder", "module", "_orig_mod",
)  # fmt: skip
PARTS_OF_TRAINING = ("fc.", "head.", "projector.", "projection_head.", "predictor.", "prototypes.", "queue")
"""Beginnings of tensors beside an encoder that no frozen network has: classifiers, projectors and the like."""


def read_state(path: Path, first: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors of one network in a .safetensors or torch file, by their names within it.

    ``first``: names that the network certainly has (of its first layer, say). Where they stand in the file decides which
    wrappings are taken off, which is said; without them only wrappings around everything are. ``FILE#PREFIX`` takes what
    stands below a prefix. Of teacher and student, ``encoder_q`` and ``encoder_k`` and the like the one that its authors
    evaluate is taken. Raises DataError: no such file, something else than weights (by what it is), several networks (with
    the prefixes to choose from), NaN or infinite weights.
    """
    path, chosen = _split(path)
    tensors = {name: value for name, value in _flat(_load(path)) if isinstance(value, Tensor)}
    if not tensors:
        raise DataError(f"{path}: holds no tensor, so it is no checkpoint of a network.")
    prefix = _prefix(path, tensors, first, chosen)
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    odd = next(
        (n for n, v in state.items() if v.device.type != "cpu" or v.layout != torch.strided or v.is_quantized), None
    )
    if odd is not None:
        raise DataError(f"{path}: {prefix}{odd} is no plain tensor (quantised, sparse or without its values).")
    bad = [
        name for name, v in state.items() if (v.is_floating_point() or v.is_complex()) and not torch.isfinite(v).all()
    ]
    if bad:
        raise DataError(
            f"{path}: {len(bad)} of {len(state)} tensors hold NaN or infinite weights (first: {prefix}{bad[0]}). "
            "The training that made it went wrong, or the file is damaged."
        )
    if prefix:
        progress.say(f"{path}: the weights below {prefix.rstrip('.')} are taken")
    return state


def load_state(
    network: nn.Module, state: Mapping[str, Tensor], origin: str, model: str, unused: Sequence[str] = ()
) -> None:
    """Fills a network, strictly but for tensors whose names begin with one of ``unused``; those are left as they are.

    Raises DataError naming tensors that are missing, foreign or of another shape; the network is then unchanged.
    """
    expected = {n: v for n, v in network.state_dict().items() if not n.startswith(tuple(unused))}
    given = {n: v for n, v in state.items() if n in expected or not n.startswith((*unused, *PARTS_OF_TRAINING))}
    shaped = [n for n in expected if n in given and given[n].shape != expected[n].shape]
    missing = [
        n for n in expected if n not in given and not n.endswith("num_batches_tracked")
    ]  # files of 2017 lack those
    foreign = [n for n in given if n not in expected]
    said = []
    if shaped:
        name = shaped[0]
        more = f" (and {len(shaped) - 1} more)" if len(shaped) > 1 else ""
        said.append(f"{name} is {_shape(given[name])}, {_shape(expected[name])} is expected{more}")
    if missing:
        said.append(f"{len(missing)} tensors missing ({', '.join(missing[:3])})")
    if foreign:
        said.append(f"{len(foreign)} foreign ({', '.join(foreign[:3])})")
    if said:
        raise DataError(
            f"{origin}: no weights of {model}: {'; '.join(said)}. Pass the file of this model, or name its own."
        )
    network.load_state_dict(dict(given), strict=False)


def _split(path: Path) -> tuple[Path, str]:
    """The file and the prefix that ``FILE#PREFIX`` asks for. Raises DataError where there is no such file."""
    name, mark, prefix = str(path).rpartition("#")
    if path.is_file() or not mark:
        prefix = ""
    else:
        path = Path(name)
    if not path.is_file():
        raise DataError(f"weights file {path} does not exist.")
    return path, prefix


def _load(path: Path) -> Any:
    """What a file holds. Raises DataError that says what the file is where it is no checkpoint."""
    with path.open("rb") as file:
        head = file.read(512)
    foreign = _not_weights(head, path)
    if foreign:
        raise DataError(f"{path}: {foreign}.")
    try:
        if path.suffix == ".safetensors" or head[8:9] == b"{":
            import safetensors.torch

            return safetensors.torch.load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch says of it is advice to load it unsafely, in colours
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if found:
            raise DataError(
                f"{path}: it holds a pickled {found[1]}, not weights alone, and reading that could run any code: lmbench "
                "never does. Where you trust it, save its weights: torch.save(model.state_dict(), FILE)."
            ) from None
        raise DataError(
            f"{path}: not a readable weights file; it is damaged or of another kind ({type(error).__name__}). Fetch it again."
        ) from None


def _not_weights(head: bytes, path: Path) -> str:
    """What a file is that certainly is no checkpoint, from how it begins."""
    if not head:
        return "it is empty"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the file itself: run `git lfs pull`, or download the file"
    if head.lstrip()[:1] == b"<":
        return "it is a web page (HTML), not the file itself: the download went to a page about it, or failed"
    if head.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(path):
        return "it breaks off: the download is not complete. Fetch it again"
    if head.startswith(b"\x89HDF"):
        return "it is an HDF5 file (of Keras, say), not one of torch"
    return ""


def _flat(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """All values of nested dictionaries by their joined keys."""
    if isinstance(value, Mapping) and depth < DEEPEST:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, Tensor):
        yield name, value
    elif depth == 0:
        yield "", value


def _prefix(path: Path, tensors: Mapping[str, Tensor], first: Sequence[str], chosen: str) -> str:
    """What stands before the names of the one network that is wanted. Raises DataError: several, or not the one chosen."""
    if chosen:
        prefix = chosen.rstrip(".") + "."
        if not any(name.startswith(prefix) for name in tensors):
            raise DataError(f"{path} holds nothing below {chosen!r}; its tensors begin with {_begins(tensors)}.")
        return prefix
    if not first:
        return _around_everything(tensors)
    found = sorted(n.removesuffix(first[0]) for n in tensors if n == first[0] or n.endswith(f".{first[0]}"))
    found = [p for p in found if all(p + name in tensors for name in first)]
    kept = [p for p in found if not _copies(p) & {_plain(other) for other in found}]
    if len(kept) > 1:
        prefixes = ", ".join(p.rstrip(".") or "(none)" for p in kept)
        raise DataError(
            f"{path} holds {len(kept)} networks, below {prefixes}: say which, as {SETTING}={path}#{kept[-1].rstrip('.')}."
        )
    return kept[0] if kept else _around_everything(tensors)


def _plain(prefix: str) -> str:
    """A prefix without the wrappers that say nothing of what is in them."""
    return ".".join(word for word in prefix.split(".") if word not in ("module", "_orig_mod"))


def _copies(prefix: str) -> set[str]:
    """The plain prefixes of copies that are taken instead of this one."""
    words = _plain(prefix).split(".")
    return {".".join([*words[:i], TAKEN[word], *words[i + 1 :]]) for i, word in enumerate(words) if word in TAKEN}


def _around_everything(tensors: Mapping[str, Tensor]) -> str:
    prefix = ""
    while True:
        words = {name.removeprefix(prefix).partition(".")[0] for name in tensors}
        if len(words) != 1 or not words <= set(WRAPPINGS):
            return prefix
        prefix += f"{words.pop()}."


def _begins(tensors: Mapping[str, Tensor]) -> str:
    words = dict.fromkeys(name.rpartition(".")[0].partition(".")[0] or name for name in tensors)
    return ", ".join(list(words)[:5])


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"
