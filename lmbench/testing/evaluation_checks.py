"""Checks of what stands right of FREEZE: heads, datasets, metrics and tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from lmbench.config.values import settings_of
from lmbench.plugins.loading import Plugins
from lmbench.specs import PRESETS, DatasetSpec, HeadSpec, MetricSpec, TaskSpec
from lmbench.testing.plugin_checks import ANY, ensure

if TYPE_CHECKING:
    from torch import Tensor

    from lmbench.heads.base import HeadInputs, Subset
    from lmbench.metrics.stored import StoredResult

IMAGE_SIZE = 64
TRAIN_IMAGES = 12
TEST_IMAGES = 5
LANDMARKS = 3
LENGTHS = ("steps", "epochs", "iterations")
"""Settings that say how long a head is fitted; the kit sets them to 2, for shapes and repeatability need no more."""


def predicts_every_subset(spec: HeadSpec, plugins: Plugins) -> None:
    """fit() on several subsets at once and predict() on other images give finite (S, B, L, 2)."""
    del plugins
    subsets = _subsets()
    predicted = _fit_and_predict(spec)
    wanted = (len(subsets), TEST_IMAGES, LANDMARKS, 2)
    ensure(
        tuple(predicted.shape) == wanted,
        f"predict() gives {tuple(predicted.shape)}; expected (S, B, L, 2) = {wanted}",
    )
    ensure(bool(predicted.isfinite().all()), "predict() gives values that are not finite")


def fits_the_same_again(spec: HeadSpec, plugins: Plugins) -> None:
    """The same inputs and generator seed give the same predictions, whatever torch's global generator holds."""
    import torch

    del plugins
    torch.manual_seed(1)
    first = _fit_and_predict(spec)
    torch.manual_seed(2)
    same = _equal(first, _fit_and_predict(spec))
    ensure(same, "two fits differ: draw from the generator given to fit(), not from torch's own")


def never_looks_at_invisible_landmarks(spec: HeadSpec, plugins: Plugins) -> None:
    """The stored coordinates of a landmark that is not visible change nothing."""
    del plugins
    same = _equal(_fit_and_predict(spec), _fit_and_predict(spec, invisible_at=1e4))
    ensure(same, "coordinates of invisible landmarks change the predictions: weigh them by `visible`")


def describes_and_keeps_itself(spec: HeadSpec, plugins: Plugins) -> None:
    """description() is a JSON object for the record; state() gives tensors to keep."""
    import json

    import torch

    del plugins
    head, fitted = _fit(spec)
    description = head.description()
    ensure(isinstance(description, dict), f"description() gives {type(description).__name__}; a dict is expected")
    json.dumps(description)
    foreign = [name for name, value in fitted.state().items() if not isinstance(value, torch.Tensor)]
    ensure(not foreign, f"state() holds {', '.join(foreign)}, which is no tensor")


def landmarks_are_consistent(spec: DatasetSpec, plugins: Plugins) -> None:
    """Names are unique; eyes and swap pairs are different landmarks within range, no landmark in two pairs."""
    del plugins
    names, count = spec.landmark_names, len(spec.landmark_names)
    ensure(len(set(names)) == count, f"two landmarks have one name: {', '.join(names)}")
    swapped = [i for pair in spec.swap_pairs for i in pair]
    for index in (*(spec.eyes or ()), *swapped):
        ensure(0 <= index < count, f"landmark {index} is named in eyes or swap_pairs; there are {count}")
    ensure(len(set(swapped)) == len(swapped), f"swap_pairs name a landmark twice: {spec.swap_pairs}")
    ensure(spec.eyes is None or spec.eyes[0] != spec.eyes[1], f"eyes are one landmark: {spec.eyes}")


def is_judged_by_known_metrics(spec: DatasetSpec, plugins: Plugins) -> None:
    """Its metrics exist and judge regression, those that need eyes have them; parts are groups of its landmarks."""
    count = len(spec.landmark_names)
    for name in spec.metrics if spec.has_landmarks else ():
        metric = plugins.find("metric", name).spec
        ensure(metric.task == "regression", f"metric {name!r} judges {metric.task}, not regression")
    ensure(
        not spec.has_landmarks or "iod" not in spec.metrics or spec.eyes is not None,
        "the metric iod needs eyes, and the dataset names none: set `eyes`, or other `metrics`",
    )
    for part, members in spec.parts.items():
        strange = [i for i in members if not 0 <= i < count]
        ensure(bool(members) and not strange, f"part {part!r} names landmarks {members}; there are {count}")


def splits_are_consistent(spec: DatasetSpec, plugins: Plugins) -> None:
    """There is a training split; with landmarks also one to test on, without them nothing else; counts are positive."""
    del plugins
    splits = dict(spec.splits)
    wanted = {"train", "test"} if spec.has_landmarks or spec.classes else {"train"}
    ensure(
        wanted <= set(splits),
        f"splits are {', '.join(splits) or 'none'}; expected {', '.join(sorted(wanted))}",
    )
    ensure(
        spec.has_landmarks or bool(spec.classes) or set(splits) == wanted,
        f"without landmarks there is nothing to test: {', '.join(splits)}",
    )
    for name, count in splits.items():
        ensure(count is None or count > 0, f"split {name!r} holds {count} images")


def preprocessing_leaves_an_image(spec: DatasetSpec, plugins: Plugins) -> None:
    """Resizing and cropping leave an image of at least 8 pixels, and the crop is not negative."""
    del plugins
    made = spec.preprocessing
    ensure(
        made.crop >= 0 and made.size >= 8,
        f"resize {made.resize} and crop {made.crop} leave {made.size} pixels",
    )


def declares_unit_and_direction(spec: MetricSpec, plugins: Plugins) -> None:
    """The spec says its unit, and belongs to a task that exists."""
    ensure(bool(spec.unit.strip()), "unit is empty: say `percent`, `px`, `fraction` ...")
    plugins.find("task", spec.task)


def gives_no_nan(spec: MetricSpec, plugins: Plugins) -> None:
    """Values of visible landmarks and the aggregate are finite; shapes are (S, N, L) and (S,)."""
    import numpy as np

    example = _example(spec, plugins)
    result = spec.load()(example)
    scored = example.scored()
    values, aggregate = np.asarray(result.values), np.asarray(result.aggregate)
    ensure(values.shape == scored.shape, f"values have shape {values.shape}; expected (S, N, L) = {scored.shape}")
    ensure(
        aggregate.shape == values.shape[:1],
        f"aggregate has shape {aggregate.shape}; expected {values.shape[:1]}",
    )
    ensure(bool(np.isfinite(values[scored]).all()), "a visible landmark scores NaN or infinity")
    ensure(bool(np.isnan(values[~scored]).all()), "an invisible landmark scores; NaN is expected there")
    ensure(bool(np.isfinite(aggregate).all()), f"aggregate {aggregate} is not finite")


def prefers_better_predictions(spec: MetricSpec, plugins: Plugins) -> None:
    """Predictions nearer to the truth score no worse, in the direction that the spec declares."""
    near, far = (float(spec.load()(_example(spec, plugins, noise)).aggregate[0]) for noise in (0.01, 8.0))
    better = near >= far if spec.higher_is_better else near <= far
    direction = "higher" if spec.higher_is_better else "lower"
    ensure(
        better,
        f"{direction} is better, but nearly perfect predictions score {near:.4g} and poor ones {far:.4g}",
    )


def leaves_predictions_alone(spec: MetricSpec, plugins: Plugins) -> None:
    """A metric is a pure function: the predictions are as they were, and a second call gives the same."""
    import numpy as np

    predictions, untouched = _example(spec, plugins), _example(spec, plugins)
    first, second = (np.asarray(spec.load()(predictions).aggregate) for _ in range(2))
    for name in [n for n, value in vars(untouched).items() if isinstance(value, np.ndarray)]:
        same = np.array_equal(getattr(predictions, name), getattr(untouched, name))
        ensure(same, f"the metric changed predictions.{name}")
    ensure(np.array_equal(first, second), f"two calls give {first} and {second}")


def metrics_exist(spec: TaskSpec, plugins: Plugins) -> None:
    """The task names metrics, unless it leaves pictures alone, and each is registered for it or for what it is measured as."""
    numbers = spec.leaves == "numbers"
    ensure(bool(spec.metrics) == numbers, "the task names no metric (or is one of pictures, and names one)")
    for name in spec.metrics:
        metric = plugins.find("metric", name).spec
        ensure(metric.task == (spec.measured_as or spec.name), f"metric {name!r} belongs to the task {metric.task!r}")


def lazy_targets_are_importable(spec: TaskSpec, plugins: Plugins) -> None:
    """Its type of results is a StoredResult; what rehearses, draws and gives floors can be called."""
    from lmbench.tasks.base import type_of_results

    del plugins
    type_of_results(spec)
    floors = {f"floors.{name}": floor for name, floor in spec.floors.items()}
    for field, target in {"rehearse": spec.rehearse, "pictures": spec.pictures, **floors}.items():
        ensure(not target or callable(spec.load(target)), f"{field}: {target} is not callable")


def uses_exist(spec: TaskSpec, plugins: Plugins) -> None:
    """The tasks whose settings it takes are registered."""
    for name in spec.uses:
        plugins.find("task", name)


def presets_fit_the_settings(spec: TaskSpec, plugins: Plugins) -> None:
    """Each preset is one that runs have, and every value in it is of its setting's type."""
    del plugins
    for preset, given in spec.presets.items():
        ensure(preset in PRESETS, f"preset {preset} is none of {', '.join(sorted(PRESETS))}")
        settings_of(spec, given, f"presets.{preset}")


def results_can_be_stored(spec: TaskSpec, plugins: Plugins) -> None:
    """An example of its results, written and read back, gives the same table."""
    import tempfile
    from pathlib import Path

    import numpy as np

    from lmbench.tasks.base import type_of_results

    del plugins
    if spec.leaves == "pictures":
        return
    kind = type_of_results(spec)
    example = kind.example(spec.name, 1.0, asdict(spec.settings()))
    with tempfile.TemporaryDirectory() as folder:
        example.write(Path(folder))
        again = kind.read(Path(folder), example.name)
    ensure(again is not None, "what was written is not found")
    assert again is not None
    (columns, shape), (read, read_shape) = example.table(), again.table()
    ensure(tuple(shape) == tuple(read_shape), f"a table of shape {tuple(shape)} is read back as {tuple(read_shape)}")
    for name in [*columns, *(n for n in read if n not in columns)]:
        ensure(name in columns and name in read, f"the column {name} stands in one of what was written and read alone")
        same = np.array_equal(columns[name], read[name], equal_nan=np.asarray(columns[name]).dtype.kind == "f")
        ensure(same, f"the column {name} is read back as another")


HEAD: tuple[Callable[[Any, Plugins], None], ...] = (
    *ANY,
    predicts_every_subset,
    fits_the_same_again,
    never_looks_at_invisible_landmarks,
    describes_and_keeps_itself,
)
DATASET: tuple[Callable[[Any, Plugins], None], ...] = (
    *ANY,
    landmarks_are_consistent,
    is_judged_by_known_metrics,
    splits_are_consistent,
    preprocessing_leaves_an_image,
)
METRIC: tuple[Callable[[Any, Plugins], None], ...] = (
    *ANY,
    declares_unit_and_direction,
    gives_no_nan,
    prefers_better_predictions,
    leaves_predictions_alone,
)
TASK: tuple[Callable[[Any, Plugins], None], ...] = (
    *ANY,
    metrics_exist,
    lazy_targets_are_importable,
    uses_exist,
    presets_fit_the_settings,
    results_can_be_stored,
)


def _fit_and_predict(spec: HeadSpec, invisible_at: float = 0.0) -> Tensor:
    """Predictions of fitted heads for other images than they were fitted on."""
    import torch

    _, fitted = _fit(spec, invisible_at)
    predicted: Tensor = fitted.predict(_inputs(spec, TEST_IMAGES, torch.Generator().manual_seed(1)))
    return predicted.detach()


def _fit(spec: HeadSpec, invisible_at: float = 0.0) -> tuple[Any, Any]:
    """The head and its fitted heads on random output; one landmark of one image is invisible."""
    import torch

    chance = torch.Generator().manual_seed(0)
    landmarks = torch.rand(TRAIN_IMAGES, LANDMARKS, 2, generator=chance) * (IMAGE_SIZE - 1)
    visible = torch.ones(TRAIN_IMAGES, LANDMARKS, dtype=torch.bool)
    visible[0, 0] = False
    landmarks[0, 0] = invisible_at
    train = _inputs(spec, TRAIN_IMAGES, chance)
    known = {field.name for field in fields(spec.settings)}
    head = spec.make(spec.settings(**{name: 2 for name in LENGTHS if name in known}))
    return head, head.fit(train, landmarks, visible, _subsets(), torch.Generator().manual_seed(0))


def _equal(first: Tensor, second: Tensor) -> bool:
    """Equal bit for bit; NaN equals NaN, for another check tells of that."""
    return bool(((first == second) | (first.isnan() & second.isnan())).all())


def _inputs(spec: HeadSpec, count: int, chance: Any) -> HeadInputs:
    """Random maps of two resolutions, random discovered landmarks or random images, as the head asks for."""
    import numpy as np
    import torch

    from lmbench.data.pixels import PixelStore
    from lmbench.features import FeatureMaps
    from lmbench.heads.base import TensorInputs
    from lmbench.tasks.inputs import ImageInputs

    if spec.inputs == "images":
        values = torch.randint(256, (count, IMAGE_SIZE, IMAGE_SIZE, 3), generator=chance).to(torch.uint8).numpy()
        nothing, ids = np.zeros((count, 0, 2), np.float32), np.arange(count)
        pixels = PixelStore(values, nothing, np.zeros((count, 0), bool), ids, ids.astype(str), "")
        return ImageInputs(pixels, torch.device("cpu"))
    if spec.inputs == "landmarks":
        return TensorInputs(IMAGE_SIZE, landmarks=torch.rand(count, 6, 2, generator=chance) * (IMAGE_SIZE - 1))
    shapes = ((count, 5, 4, 4), (count, 3, 8, 8))
    maps = tuple(torch.randn(shape, generator=chance) for shape in shapes)
    return TensorInputs(IMAGE_SIZE, maps=FeatureMaps(maps, (12, 12)))


def _subsets() -> list[Subset]:
    """Two draws of six images and all of them."""
    import torch

    from lmbench.heads.base import Subset

    first, second = torch.arange(6), torch.arange(6, 12)
    return [Subset(6, 0, first), Subset(6, 1, second), Subset("all", 0, torch.arange(TRAIN_IMAGES))]


def _example(spec: MetricSpec, plugins: Plugins, noise: float = 2.0) -> StoredResult:
    """A result of the metric's task, made up, ``noise`` far from the truth, under the task's default settings."""
    task = plugins.find("task", spec.task).spec
    kind: type[StoredResult] = task.load(task.predictions)
    return kind.example(spec.task, noise, asdict(task.settings()))
