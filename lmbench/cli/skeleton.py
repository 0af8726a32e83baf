"""What ``lmbench plugin new`` writes: a distribution with one objective, one method and its conformance tests."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from string import Template

from lmbench import __version__
from lmbench.errors import UsageError
from lmbench.specs import API_VERSION

NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


def write_skeleton(name: str, folder: Path) -> Path:
    """The folder of a new plugin distribution ``lmbench-NAME`` below ``folder``.

    It is there whole or not at all. Raises UsageError for a name that makes no distribution and package, and
    where the folder exists.
    """
    bare = name.removeprefix("lmbench-").removeprefix("lmbench_")
    if not NAME.fullmatch(bare):
        raise UsageError(
            f"plugin name {name!r}: expected small letters, digits and single - or _, for instance my-loss."
        )
    slug = bare.replace("-", "_")
    place = folder / f"lmbench-{bare.replace('_', '-')}"
    if place.exists():
        raise UsageError(f"{place} exists already and is left as it is: choose another name or --dir.")
    words = {
        "distribution": place.name,
        "package": f"lmbench_{slug}",
        "name": slug,
        "class_name": "".join(part.capitalize() for part in slug.split("_")),
        "api": str(API_VERSION),
        "version": __version__,
    }
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=folder))
    try:
        for path, text in FILES.items():
            file = draft / Template(path).substitute(words)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(words), encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(place)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return place


PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "The pretraining objective $name for lmbench"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["lmbench>=$version", "torch"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points.lmbench]
$name = "$package.plugin"

[tool.hatch.build.targets.wheel]
packages = ["$package"]
"""

README = """\
# $distribution

A plugin of lmbench with the pretraining objective `$name` and a method of the same name.

    uv pip install -e .
    lmbench plugin check $distribution
    lmbench run --method $name --dataset synthfaces

* `$package/plugin.py`: the hooks. It says what there is and imports nothing heavy.
* `$package/objective.py`: the loss. Start here.
* `tests/test_conformance.py`: what lmbench expects of a plugin, as tests (`pytest`).

A plugin imports `lmbench.api` and nothing else of lmbench. The contracts: lmbench's `docs/plugins.md`.
"""

PLUGIN = '''\
"""What this plugin brings: one objective and one method that trains it."""

from __future__ import annotations

from dataclasses import dataclass

from lmbench.api import (
    Channels,
    MapName,
    MethodSpec,
    NotNegative,
    ObjectiveSpec,
    StageSpec,
    VariantSpec,
    hookimpl,
)

LMBENCH_API = $api


@dataclass(frozen=True)
class Settings:
    """What a user may set: names, types with their ranges, defaults. What does not fit is refused before training."""

    layer: MapName = "conv4_x"
    dim: Channels = 32
    spread: NotNegative = 1.0  # weight of the variance; a source belongs here


OBJECTIVE = ObjectiveSpec(
    name="$name",
    summary="dense descriptors of two views agree and keep their variance",
    target="$package.objective:$class_name",
    settings=Settings,
    min_batch=2,
)

ADAMW = {"name": "adamw", "lr": 0.001}
SMOKE = {"epochs": 1, "batch_size": 8, "images": 16, "frame": 48}

METHOD = MethodSpec(
    name="$name",
    summary="one stage of $name, judged on a hypercolumn",
    stages=(
        StageSpec(
            name="pretrain",
            objective="$name",
            training={"epochs": 10, "batch_size": 64, "frame": 96, "optimiser": ADAMW},
        ),
    ),
    variants=(
        VariantSpec(
            name="hypercolumn",
            summary="the three deepest maps",
            layers=("conv5_x", "conv4_x", "conv3_x"),
            stages=("pretrain",),
        ),
    ),
    presets={
        "smoke": {"stages": {"pretrain": {"training": SMOKE}}},
        "quick": {"stages": {"pretrain": {"training": {"epochs": 2, "images": 500}}}},
        "small": {},
        "paper": {"backbone": "resnet50", "stages": {"pretrain": {"training": {"epochs": 100}}}},
    },
    choices={"spread": "1.0: the published weight is not known yet; say here what was chosen and why"},
)


@hookimpl
def lmbench_objectives() -> list[ObjectiveSpec]:
    return [OBJECTIVE]


@hookimpl
def lmbench_methods() -> list[MethodSpec]:
    return [METHOD]
'''

OBJECTIVE = '''\
"""The loss: two differently coloured views of an image have the same descriptors, place by place."""

from __future__ import annotations

import torch
from lmbench.api import Extractor, Objective
from torch import Tensor, nn
from torch.nn import functional


class $class_name(Objective):
    """Squared distance of projected descriptors at equal places, and a hinge that keeps channels spread out.

    ``layer``: the map that is compared. ``dim``: width of the projection. ``spread``: weight of the hinge.
    """

    def __init__(
        self,
        backbone: nn.Module,
        parent: Extractor | None = None,
        *,
        layer: str,
        dim: int,
        spread: float,
    ) -> None:
        super().__init__(backbone, parent)
        self.layer, self.spread = layer, spread
        self.projector = nn.LazyConv2d(dim, 1)
        with torch.no_grad():
            self.projector(backbone.eval()(torch.zeros(1, 3, 64, 64))[layer])

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two recoloured copies of the batch; chance comes from the generator (on the CPU) alone."""
        first, second = (self._recolour(images, generator) for _ in range(2))
        return first, second

    def loss(self, views: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """``total`` is minimised; the others are drawn as curves."""
        first, second = (self.projector(self.backbone(v)[self.layer]) for v in views)
        distance = (first - second).square().mean()
        deviation = torch.cat([first, second]).transpose(0, 1).flatten(1).std(1)
        hinge = functional.relu(1 - deviation).mean()
        total = distance + self.spread * hinge
        return {"total": total, "distance": distance.detach(), "hinge": hinge.detach()}

    def _recolour(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Each channel of each image with its own gain (0.6 to 1.4) and offset (-0.2 to 0.2)."""
        gain, offset = torch.rand(2, len(images), 3, 1, 1, generator=generator).to(images)
        return (images * (0.6 + 0.8 * gain) + 0.4 * (offset - 0.5)).clamp(0, 1)
'''

TEST = '''\
"""What lmbench expects of a plugin, one test a promise."""

from lmbench.testing import Check, parametrize


@parametrize("$package.plugin")
def test_the_plugin_keeps_its_contract(check: Check) -> None:
    check()
'''

FILES = {
    "pyproject.toml": PYPROJECT,
    "README.md": README,
    "$package/__init__.py": '"""The pretraining objective $name for lmbench."""\n',
    "$package/plugin.py": PLUGIN,
    "$package/objective.py": OBJECTIVE,
    "tests/test_conformance.py": TEST,
}
"""Path and text of every file, as templates."""
