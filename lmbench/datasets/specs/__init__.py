"""The datasets of the core as data, by what they show; their loaders are imported when asked for."""

from __future__ import annotations

from lmbench.datasets.specs.animals import ANIMALS
from lmbench.datasets.specs.bodies import BODIES
from lmbench.datasets.specs.celeba import CELEBA
from lmbench.datasets.specs.faces import FACES
from lmbench.datasets.specs.folders import FOLDERS
from lmbench.datasets.specs.objects import OBJECTS

DATASETS = [*FACES, *CELEBA, *ANIMALS, *BODIES, *OBJECTS, *FOLDERS]
