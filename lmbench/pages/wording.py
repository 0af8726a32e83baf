"""The protocol of a run in words: what was learned, what is frozen, what judges it. From its record, and from what the installed
plugins say of its parts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lmbench.errors import LmbenchError
from lmbench.plugins.loading import Plugins
from lmbench.printable import counted, without_folders
from lmbench.results.outputs import CLASSES, head_of, kind_of
from lmbench.results.record import Record, Row
from lmbench.results.shown import annotations_of

Said = tuple[str, list[str]]
"""What is spoken of, and the sentences about it."""


def protocol(record: Record, plugins: Plugins) -> list[Said]:
    """The protocol, one subject after the other, in the order of a run."""
    said = [("Learned", list(_learned(record, plugins))), ("Frozen", list(_frozen(record)))]
    said.append(("Test images", list(_images(record))))
    for task in dict.fromkeys(row.task for row in record.rows):
        rows = [row for row in record.rows if row.task == task]
        said.append((task, list(_judged(task, rows, plugins))))
    return said + [("Intervals", list(_intervals(record)))]


def settings_of(record: Record) -> list[tuple[str, list[tuple[str, str]]]]:
    """(of which number, [(setting, value)]) of the record's numbers; equal settings stand once, with all their numbers."""
    found: dict[str, tuple[list[str], list[tuple[str, str]]]] = {}
    for row in record.rows:
        listed = [
            (name, as_text(value)) for name, value in row.settings.items() if name not in ("draw_indices", "fitted")
        ]
        name = " ".join(
            filter(None, [row.task, row.subset, f"n = {annotations_of(row)}" if annotations_of(row) else ""])
        )
        named = found.setdefault(repr(listed), ([], listed))[0]
        if name not in named:
            named.append(name)
    return [("; ".join(names), listed) for names, listed in found.values()]


def as_text(value: Any) -> str:
    """A setting's value in a line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _learned(record: Record, plugins: Plugins) -> Iterator[str]:
    supervision = f" ({record.supervision})" if record.supervision else ""
    kind = CLASSES[kind_of(record)]
    yield f"{_about(plugins, 'method', record.method)}Its output {record.variant} is of the class {kind}{supervision}."
    leaked = record.data.test_images_pretrained_on
    if leaked:
        yield f"Attention: {leaked.get('images')} of its test images were among those that it was pretrained on."
    if record.pretrain_on:
        yield f"Pretrained on the training images of {without_folders(record.pretrain_on)}, without their labels."
    for number, stage in enumerate(record.stages, 1):
        amount = [counted(stage.epochs, "epoch"), "" if stage.steps is None else counted(stage.steps, "step")]
        amount.append("" if stage.views is None else f"{stage.views:,} image views")
        how = ", ".join(filter(None, amount))
        about = _about(plugins, "objective", stage.objective)
        yield f"Stage {number}, {stage.name}: {stage.objective} on {stage.backbone}, {how}, in {stage.precision}. {about}".strip()
    if not record.stages:
        yield "Nothing is trained."
    for name, scale in record.data.object_scale.items():
        if isinstance(scale, Mapping) and "ratio" in scale:
            yield f"Views of {name} show the object {scale['ratio']} times as large as the test images do."


def _frozen(record: Record) -> Iterator[str]:
    read = record.config.get("read")
    if record.backbone == "none" or not isinstance(read, Mapping):
        yield "There is no network."
        return
    layers = ", ".join(map(str, read.get("layers") or ())) or "none"
    channels = f", {record.feature_dim} channels" if record.feature_dim else ""
    grid = f"read on a grid of {read.get('size')} cells a side"
    yield f"{record.backbone} is frozen. Judged are its maps {layers}{channels}, {grid}."
    yield "From here on no weight of the network changes, and all is computed in float32."


def _images(record: Record) -> Iterator[str]:
    data = record.data
    used = data.used or {}
    test, train = (used.get(split) or data.counts.get(split) for split in ("test", "train"))
    if test:
        heads = f"; heads are fitted on at most {counted(train, 'training image')}" if train else ""
        yield f"{counted(test, 'test image')} of {without_folders(record.dataset)}{heads}."
    steps = data.preprocessing or {}
    if steps:
        cut = f", of which the central {steps.get('size')} are cut" if steps.get("crop") else ""
        yield f"Each is resized to {steps.get('resize')} pixels a side{cut}."
    framing = data.framing
    if isinstance(framing, Mapping):
        yield f"Framed: {framing.get('kind')} ({framing.get('of')})."
    yield from (f"{note[:1].upper()}{note[1:]}." for note in data.notes)


def _judged(task: str, rows: list[Row], plugins: Plugins) -> Iterator[str]:
    if about := _about(plugins, "task", task):
        yield about.strip()
    for head in dict.fromkeys(filter(None, map(head_of, rows))):
        yield f"The head is {head.rpartition(':')[2]}. {_about(plugins, 'head', head)}".strip()
    for name in dict.fromkeys(row.metric for row in rows):
        row = next(row for row in rows if row.metric == name)
        direction = "higher is better" if row.higher_is_better else "lower is better"
        divided = f", divided by the {row.normaliser}" if row.normaliser else ""
        yield f"{name}, in {row.unit}{divided} ({direction}). {_about(plugins, 'metric', name)}".strip()
    amounts = dict.fromkeys(filter(None, map(annotations_of, rows)))
    if amounts:
        yield f"Annotated images: {', '.join(amounts)}."
    for row in rows:
        fitted = row.settings.get("fitted")
        if isinstance(fitted, list) and fitted:
            told = [f"{found} ({count} of {len(fitted)})" for found, count in Counter(map(str, fitted)).most_common()]
            yield f"What was fitted with {annotations_of(row)}: {', '.join(told)}." if len(told) <= 4 else ""


def _intervals(record: Record) -> Iterator[str]:
    yield "An interval of 95 % is over test images, drawn anew, and over the draws of annotated images where these were drawn."
    yield f"This is the run of seed {record.seed}: its intervals know nothing of another training."


def _about(plugins: Plugins, kind: str, name: str) -> str:
    """What the installed part of that name says of itself, a sentence; nothing where it is not here."""
    try:
        summary = plugins.find(kind, name).spec.summary
    except LmbenchError:
        return ""
    return f"{summary[:1].upper()}{summary[1:].rstrip('.')}. "
