"""What the numbers of a run are the means of, image by image: from its predictions, or as kept beside the records.

A record's copy among the leaderboards outlives the run's predictions, and without them no difference of two methods has an
interval. So a build keeps what an interval is made of: of each number the mean of each image over the draws, in half
precision, and the mean of each draw over the images. Files are byte-equal for equal inputs, and name the record they are of.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.errors import DataError, LmbenchError, StaleError
from lmbench.plugins.loading import CORE, Plugins
from lmbench.results.record import PREDICTIONS, SEAL, Key, Record, seal_of
from lmbench.results.resampling import Estimate, difference, estimate
from lmbench.store.files import write_atomically

IMAGES = "image ids"  # of what is alike in two results, see `StoredResult.truth`
FOLDER, SUFFIX = "scores", ".scores"
MAGIC = b"lmbench scores 1\n"
LARGEST = 256 << 20  # bytes; those of 20,000 images and 100 numbers have 4 million
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, zlib.error)


@dataclass(frozen=True)
class Scores:
    """What one number of a run is the mean of.

    ``values`` (D, N): draws x test images (or pairs, or groups of images), in the number's unit; kept ones are the sum of what
    an image and what a draw does alone, and give the same intervals. ``images``: how many are scored. ``truth``: digests, by
    name, of what two runs must have alike to be compared image by image.
    """

    key: Key
    values: np.ndarray
    images: int
    truth: Mapping[str, str] = field(default_factory=dict)

    @property
    def few_shot(self) -> bool:
        """Whether the annotated images behind it were drawn."""
        return self.key[3] not in (None, "all")


def estimate_of(by_seed: Mapping[int, Scores]) -> Estimate:
    """One output's number over its seeds. Raises ValueError where they have other images."""
    few_shot = any(s.few_shot for s in by_seed.values())
    found = estimate({seed: s.values for seed, s in by_seed.items()}, few_shot)
    return _of_images(found, min(s.images for s in by_seed.values()))


def difference_of(a: Mapping[int, Scores], b: Mapping[int, Scores]) -> Estimate:
    """a - b of a number of two outputs over their seeds, see `lmbench.results.resampling.difference`. Raises as `estimate_of`."""
    sides = [*a.values(), *b.values()]
    first, second = ({seed: s.values for seed, s in side.items()} for side in (a, b))
    return _of_images(difference(first, second, any(s.few_shot for s in sides)), min(s.images for s in sides))


def unpaired(a: Mapping[int, Scores], b: Mapping[int, Scores]) -> str:
    """What keeps two outputs, over their seeds, from being paired image by image; nothing where they can be.

    All are of the same images. Runs of one seed have the rest of the truth in common too; another seed warps images anew.
    """
    first = next(iter(a.values()))
    pairs = [(first, other, [IMAGES]) for other in [*a.values(), *b.values()]]
    pairs += [(a[seed], b[seed], [*a[seed].truth]) for seed in sorted(a.keys() & b.keys())]
    for ours, theirs, names in pairs:
        differ = [name for name in names if ours.truth.get(name) != theirs.truth.get(name)]
        if differ or ours.values.shape[1] != theirs.values.shape[1]:
            return [*differ, IMAGES][0]
    return ""


def scores_of(folder: Path, record: Record, plugins: Plugins) -> dict[Key, Scores]:
    """Those of all numbers of a run, from the predictions in its folder, in the record's order.

    Raises DataError where predictions are gone or damaged, StaleError where they do not give the record's numbers.
    """
    from lmbench.results.measuring import measured, read_stored

    plugins = plugins.preferring(CORE, *record.distributions)
    found = {}
    for entry in record.predictions:
        stored = read_stored(folder / PREDICTIONS, Path(entry).stem, plugins)
        if stored is None:
            raise DataError(
                f"{folder / entry} is not there: the predictions are kept with the run itself. "
                "Name the folder of the run itself, not a copy of its record."
            )
        truth = {name: _digest(array) for name, array in stored.truth().items()}
        for number in measured(stored, plugins):
            key = (stored.task, number.metric.name, number.subset, stored.n_annotations)
            _as_recorded(folder, record, key, float(number.result.aggregate.mean()))
            found[key] = Scores(key, number.contributions, number.images, truth)
    return found


def path_of(leaderboards: Path, run: str) -> Path:
    """Where the scores of a run are kept."""
    return leaderboards / FOLDER / f"{run}{SUFFIX}"


def keep_scores(leaderboards: Path, folder: Path, record: Record, plugins: Plugins) -> Path | None:
    """The file of a run's scores, written from the predictions in its folder unless a whole one is there.

    None, and nothing changed, where no predictions are at hand. Raises as `scores_of`.
    """
    path = path_of(leaderboards, record.run)
    try:
        if kept_scores(leaderboards, record):
            return path
    except LmbenchError:
        pass  # written anew
    if not any((folder / entry).is_file() for entry in record.predictions):
        return None
    write_atomically(path, _packed(record, scores_of(folder, record, plugins)))
    return path


def kept_scores(leaderboards: Path, record: Record) -> dict[Key, Scores]:
    """The kept scores of a record's numbers; none where none were kept.

    Raises DataError for a damaged file, StaleError for one of another record.
    """
    path = path_of(leaderboards, record.run)
    if not path.exists():
        return {}
    way_out = (
        "Remove it; `lmbench leaderboard build` writes it anew where the run and its predictions are below --runs."
    )
    try:
        header, numbers = _unpacked(path)
        if header["record"] == _seal(record):
            return {scores.key: scores for scores in _read(record, header["rows"], numbers)}
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({error!s:.200}). {way_out}") from None
    raise StaleError(f"{path} is of another record than {record.run}. {way_out}")


def _of_images(found: Estimate, images: int) -> Estimate:
    """The estimate of so many scored images: one alone says nothing of others."""
    found = replace(found, images=images)
    return found if images > 1 else replace(found, low=None, high=None, p=None)


def _as_recorded(folder: Path, record: Record, key: Key, value: float) -> None:
    row = record.find(key)
    if row is not None and not np.isclose(row.value, value, rtol=1e-6):
        raise StaleError(
            f"{folder}: the record says {key[1]} {row.value:.4f}, its predictions give {value:.4f}. "
            "One of the two was changed; measure anew with --resume never."
        )


def _digest(array: np.ndarray) -> str:
    """A digest that is the same for arrays of equal values."""
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.nan, array.astype("<f8") + 0.0)  # one kind of NaN, one zero
        content = array.tobytes()
    else:
        content = json.dumps(array.tolist()).encode()
    return hashlib.sha256(f"{array.shape}".encode() + content).hexdigest()[:16]


def _seal(record: Record) -> str:
    """The digest of a record, which those of lmbench 0.1 do not carry themselves."""
    document = record.to_json()
    return str(document.get(SEAL) or seal_of(document))


def _packed(record: Record, scores: Mapping[Key, Scores]) -> bytes:
    rows: list[dict[str, Any]] = []
    halves = []
    for key, s in scores.items():
        images = s.values.mean(0) - s.values.mean()
        scale = float(np.abs(images).max(initial=0)) or 1.0  # of any size, and half precision ends at 65,504
        halves.append((images / scale).astype("<f2"))
        draws = (s.values.mean(1) - s.values.mean()).astype(np.float32)
        entry = {"key": key, "draws": draws.tolist(), "columns": len(images), "scale": scale, "images": s.images}
        rows.append({**entry, "truth": dict(s.truth)})
    header = json.dumps({"record": _seal(record), "rows": rows}, separators=(",", ":"))
    numbers = (
        np.concatenate([np.zeros(0, "<f2"), *halves]).view(np.uint8).reshape(-1, 2).T
    )  # exponents pack well together
    body = header.encode() + b"\n" + numbers.tobytes()
    return MAGIC + hashlib.sha256(body).digest() + zlib.compress(body, 9)


def _unpacked(path: Path) -> tuple[Any, np.ndarray]:
    """The header of a file and its numbers. Raises one of ``DAMAGED``."""
    content = path.read_bytes()
    start = len(MAGIC) + 32
    if not content.startswith(MAGIC):
        raise ValueError("it does not begin as a file of scores")
    unpacking = zlib.decompressobj()
    body = unpacking.decompress(content[start:], LARGEST)
    if not unpacking.eof or hashlib.sha256(body).digest() != content[len(MAGIC) : start]:
        raise ValueError("its SHA-256 differs")
    header, _, numbers = body.partition(b"\n")
    return json.loads(header), np.frombuffer(numbers, np.uint8).reshape(2, -1).T.copy().view("<f2").ravel()


def _read(record: Record, rows: Any, numbers: np.ndarray) -> Iterator[Scores]:
    start = 0
    for row in rows:
        task, metric, subset, n = row["key"]
        found = record.find((task, metric, subset, n))
        if found is None:
            raise ValueError(f"the record has no {metric} of {task}")
        images = row["scale"] * numbers[start : start + row["columns"]].astype(np.float64)
        draws = np.asarray(row["draws"], np.float64)
        start += row["columns"]
        values = found.value + (draws - draws.mean())[:, None] + (images - images.mean())
        yield Scores(found.key, values, row["images"], row["truth"])
