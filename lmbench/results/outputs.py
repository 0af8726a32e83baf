"""What a board has a row for: an output under one protocol, over its seeds. Runs fold here, before anything is ranked.

An output is a method's variant trained by one recipe on some images. Runs of it under the same protocol, on the same data, are
one row, whatever commands made them. Of several runs of one seed the newest counts alone (lmbench's version, then when it was
finished): two measurements of one seed are never averaged. Releases of one minor version (0.4.0, 0.4.1) stand in one row; of
others the newest counts, and the row says what it replaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

from lmbench.config.model import digest_of
from lmbench.printable import counted, without_folders_apart
from lmbench.results.record import Record, Row

LEARNED, PRETRAINED, SUPERVISED = "learned", "pretrained", "supervised"
CONTROL, FLOOR = "control", "floor"
CLASSES = {
    LEARNED: "learned without labels",
    PRETRAINED: "pretrained elsewhere, on other images or labels",
    SUPERVISED: "supervised by the target's labels",
    CONTROL: "controls: untrained networks",
    FLOOR: "floors: nothing is learned from images",
}
"""What is ranked apart, in the order of a board."""

FREE = ("layers", "dimension", "draw_indices", "fitted")
"""Settings of a row that describe the features, or follow from the seed; all others are the protocol."""
UNTRAINED = "untrained"
WEIGHTS = ("weights", "pretrained")  # settings of a backbone that say where its weights come from
RECIPE = ("stages", "network", "train_images", "partial", "allow_test_images")
DIGITS = 8  # of a digest, as it is shown

Column = tuple[str, str, str, str, str]
"""Dataset, task, metric, part and number of annotations, as text."""


@dataclass(frozen=True)
class Scope:
    """What rows have in common that may be ranked as one: the column, and all that decides what a number of it means."""

    column: Column
    preset: str
    data: str
    protocol: str
    draws: int | None
    images: int | None

    @property
    def judged(self) -> Scope:
        """The same but for the protocol: rows of it are of the same images and draws."""
        return Scope(self.column, self.preset, self.data, "", self.draws, self.images)


@dataclass(frozen=True, eq=False)
class Output:
    """One row: what an output measured, seed by seed. ``replaced``: what was folded into it, in words.

    What follows is found once: in a section of many rows every two are compared.
    """

    scope: Scope
    measured: Mapping[int, tuple[Record, Row]]
    recipe: str
    replaced: tuple[str, ...] = ()

    @cached_property
    def record(self) -> Record:
        """The record of the first seed, for what all seeds share."""
        return next(iter(self.measured.values()))[0]

    @cached_property
    def row(self) -> Row:
        return next(iter(self.measured.values()))[1]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.measured)

    @cached_property
    def value(self) -> float:
        """The mean over seeds."""
        return fmean(row.value for _, row in self.measured.values())

    @property
    def spread(self) -> float | None:
        """The standard deviation over seeds, None for one."""
        return stdev(row.value for _, row in self.measured.values()) if len(self.measured) > 1 else None

    @property
    def over_draws(self) -> float | None:
        """The spread over draws, mean over seeds."""
        spreads = [row.std for _, row in self.measured.values() if row.std is not None]
        return fmean(spreads) if spreads else None

    @property
    def versions(self) -> tuple[str, ...]:
        return tuple(sorted({record.version for record, _ in self.measured.values()}, key=numbers))

    @cached_property
    def kind(self) -> str:
        return kind_of(self.record)

    @cached_property
    def network(self) -> Any:
        return network_of(self.record)

    @property
    def order(self) -> tuple[Any, ...]:
        """Best mean first."""
        sign = -1 if self.row.higher_is_better else 1
        return sign * self.value, self.record.method, self.record.variant, self.record.pretrain_on, self.recipe

    def untrained_of(self, other: Output) -> bool:
        """Whether it is that output's own recipe, untrained."""
        return untrained_of(self.record, other.record)

    def better(self, other: Output) -> bool:
        """Whether the mean is better."""
        return self.value > other.value if self.row.higher_is_better else self.value < other.value


def untrained_of(own: Record, other: Record) -> bool:
    """Whether a record is of another's own recipe, untrained."""
    return (own.method, own.variant) == (other.method, f"{other.variant}, {UNTRAINED}")


def kind_of(record: Record) -> str:
    """What an output learned from, of ``CLASSES``; from what its record says of its supervision.

    A record that says nothing is taken as its method's own word, which is ``self-supervised`` unless a recipe says otherwise.
    """
    if record.config.get(UNTRAINED) or record.variant.split(", ")[-1] == UNTRAINED or record.supervision == UNTRAINED:
        return CONTROL
    if record.supervision == "none":
        return CONTROL if _untrained_of_earlier(record) else FLOOR
    return class_of(record.supervision)


def class_of(supervision: str) -> str:
    """The class of a word for what something learned from, as records and papers have it."""
    known = {"": LEARNED, "self-supervised": LEARNED, "supervised": SUPERVISED, "random": CONTROL}
    return known.get(supervision, PRETRAINED)


def _untrained_of_earlier(record: Record) -> bool:
    """Records of schema 1 call an untrained network's supervision ``none`` too; every backbone of the core is a network."""
    own = [c for c in record.components if c.get("kind") == "backbone"]
    return record.schema == 1 and any(c.get("distribution") == "lmbench" for c in own)


def fold(records: Iterable[Record]) -> list[Output]:
    """Every row there is of the records, by scope and the best first."""
    found: dict[tuple[Scope, str, str, str], list[tuple[Record, Row]]] = {}
    for record in records:
        for row in record.rows:
            found.setdefault((scope_of(record, row), record.method, record.variant, record.pretrain_on), []).append(
                (record, row)
            )
    outputs = [output for key, runs in found.items() for output in _outputs(key[0], runs)]
    return sorted(outputs, key=lambda output: (repr(output.scope), *output.order))


def _outputs(scope: Scope, runs: Sequence[tuple[Record, Row]]) -> Iterator[Output]:
    """An output for each recipe of the newest minor version; the newest run of each seed counts."""
    newest = max(numbers(record.version)[:2] for record, _ in runs)
    earlier = [record for record, _ in runs if numbers(record.version)[:2] != newest]
    replaced = []
    for version in sorted({record.version for record in earlier}, key=numbers):
        seeds = {record.seed for record in earlier if record.version == version}
        replaced.append(f"{counted(len(seeds), 'seed')} of lmbench {version} replaced")
    recipes: dict[str, list[tuple[Record, Row]]] = {}
    for record, row in runs:
        if numbers(record.version)[:2] == newest:
            recipes.setdefault(digest_of(recipe_of(record))[:DIGITS], []).append((record, row))
    for recipe, own in sorted(recipes.items()):
        own.sort(key=lambda found: (numbers(found[0].version), found[0].finished, found[0].run))
        by_seed = {record.seed: (record, row) for record, row in own}  # the last counts
        twice = sorted({record.seed for record, _ in own if by_seed[record.seed][0].run != record.run})
        again = [f"the newest of several runs of {_seeds(twice)}"] if twice else []
        by_seed = {seed: by_seed[seed] for seed in sorted(by_seed)}
        yield Output(scope, by_seed, recipe, (*again, *replaced))


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def scope_of(record: Record, row: Row) -> Scope:
    """Where a number may be ranked."""
    n = "" if row.n_annotations is None else str(row.n_annotations)
    column = record.dataset, row.task, row.metric, row.subset or "", n
    data = (record.data.fingerprint or "")[:DIGITS]
    return Scope(column, record.preset, data, digest_of(protocol_of(row))[:DIGITS], row.draws, row.images)


def protocol_of(row: Row) -> dict[str, Any]:
    """All settings that a number depends on besides features and images. Versions are not among them: what changes a number
    must change a setting, or the minor version, of which one row holds one alone."""
    settings = {name: value for name, value in row.settings.items() if name not in FREE}
    if isinstance(settings.get("head"), str):
        settings["head"] = head_of(row)
    return {**settings, "normaliser": row.normaliser, "unit": row.unit, "higher_is_better": row.higher_is_better}


def head_of(row: Row) -> str:
    """The name of the head behind a number, without its version; empty where it has none."""
    return str(row.settings.get("head") or "").partition(" ")[0]


def recipe_of(record: Record) -> dict[str, Any]:
    """What was trained, from a record's configuration, without the seed and what decides no weight."""
    config = record.config
    found = {name: config.get(name) for name in RECIPE}
    stages = config.get("stages")
    if isinstance(stages, Mapping):
        found["stages"] = {name: _weighty(stage) for name, stage in stages.items()}
    read = config.get("read")
    found["read"] = {k: v for k, v in read.items() if k != "size"} if isinstance(read, Mapping) else None
    return {**found, "pretrained on": record.data.pretraining_fingerprint}


def _weighty(stage: Any) -> Any:
    training = stage.get("training") if isinstance(stage, Mapping) else None
    if not isinstance(training, Mapping):
        return stage
    return {**stage, "training": {k: v for k, v in training.items() if k != "checkpoint_minutes"}}


def control_among(output: Output, others: Sequence[Output]) -> Output | None:
    """The row that an output is to be read beside: its own recipe untrained, else the same network untrained by another name.

    ``others``: the rows of its scope. A control has none.
    """
    if output.kind == CONTROL:
        return None

    def fit(other: Output) -> tuple[Any, ...]:
        same_images = other.record.pretrain_on == output.record.pretrain_on
        return other.untrained_of(output), same_images, len({*other.seeds} & {*output.seeds}), other.recipe

    controls = [other for other in others if other.kind == CONTROL]
    fitting = [o for o in controls if o.untrained_of(output) or (output.network and o.network == output.network)]
    return max(fitting, key=fit, default=None)


def network_of(record: Record) -> Any:
    """The network that is judged and the maps that are read, as a record's configuration has them, without its weights; None
    where there is none."""
    stages, read = record.config.get("stages"), record.config.get("read")
    if not isinstance(read, Mapping):
        return None
    last = list(stages.values())[-1] if isinstance(stages, Mapping) and stages else record.config.get("network", read)
    if not isinstance(last, Mapping) or last.get("backbone") in (None, "none"):
        return None
    settings = last.get("backbone_settings")
    kept = {k: v for k, v in settings.items() if k not in WEIGHTS} if isinstance(settings, Mapping) else None
    return last["backbone"], kept, read.get("layers")


def beside_of(output: Output) -> float | None:
    """What the records' own references say of the untrained control: the mean over seeds, None where not every seed has it."""
    found = [
        reference.value
        for record, row in output.measured.values()
        for reference in record.references
        if reference.reference == UNTRAINED and reference.key == row.key
    ]
    return fmean(found) if len(found) == len(output.seeds) else None


def labels(outputs: Sequence[Output], short: bool = False) -> dict[Output, str]:
    """What each row is called: method and variant, and what else tells it from another row of that name."""
    named = {}
    called = grouped(outputs, lambda output: (output.record.method, output.record.variant))
    for output in outputs:
        name = (output.record.method, output.record.variant)
        alike = called[name]
        sources = without_folders_apart(dict.fromkeys(o.record.pretrain_on for o in alike))
        apart = [sources[output.record.pretrain_on]] if len(sources) > 1 else []
        if len({(o.record.pretrain_on, o.recipe) for o in alike}) > len(sources):
            apart += differing(output, alike)
        named[output] = ", ".join([f"`{'/'.join(name)}`", *apart] if short else [f"`{name[0]}`", name[1], *apart])
    return named


def differing(output: Output, alike: Sequence[Output]) -> list[str]:
    """The settings of an output's recipe in which it differs from those of the same name."""
    return differing_settings(output.record, [other.record for other in alike]) or [f"recipe {output.recipe}"]


def differing_settings(record: Record, others: Iterable[Record], most: int = 3) -> list[str]:
    """The first settings of a record's recipe in which it differs from one of some others: ``read.size=8``."""
    trees = [dict(flat(recipe_of(other))) for other in others]
    own = dict(flat(recipe_of(record)))
    names = [name for name in sorted(own) if any(tree.get(name) != own[name] for tree in trees)]
    return [f"{name}={own[name]}" for name in names[:most]]


def flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a tree by their dotted names."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def numbers(version: str) -> tuple[int, ...]:
    """A version to be compared by: 0.10.1 comes after 0.9."""
    return tuple(int(found) for found in re.findall(r"\d+", version)[:4])


def grouped(outputs: Iterable[Output], key: Callable[[Output], Any]) -> dict[Any, list[Output]]:
    """The rows by what they have in common, in their order."""
    found: dict[Any, list[Output]] = {}
    for output in outputs:
        found.setdefault(key(output), []).append(output)
    return found
