"""Extended Yale B, cropped (Georghiades et al. 2001, Lee et al. 2005): frontal faces under 64 lights, unlabelled.

Layout: ``CroppedYale/yaleBNN/yaleBNN_P00A+000E+00.pgm``, 38 subjects (there is no 14), 168x192 pixels.
"""

from __future__ import annotations

import re
from pathlib import Path

import datasets
import numpy as np

from lmbench.errors import DataError
from lmbench.originals.lists import Listed, Originals

BOX = (0, 12, 168, 168)  # the central square; Thewlis et al. 2017 do not say theirs
ADVICE = "Unpack CroppedYale.zip there, or pass --data-root."
NAME = re.compile(r"yaleB(\d\d)_P00A[+-]\d{3}E[+-]\d\d\.pgm")


def load(root: Path) -> dict[str, datasets.Dataset]:
    """The 2,414 lit images; identity is the subject. Ambient images and the 18 damaged ``.pgm.bad`` are left out.

    Raises DataError where there is none.
    """
    files = sorted(f for f in root.glob("yaleB*/*.pgm") if NAME.fullmatch(f.name))
    if not files:
        found = ", ".join(sorted(f.name for f in root.iterdir())[:5]) or "nothing"
        raise DataError(f"yaleb: no yaleBNN/yaleBNN_P00A+000E+00.pgm under {root}, which holds {found}. {ADVICE}")
    subjects = np.array([int(f.name[5:7]) for f in files])
    boxes = np.tile(np.array(BOX, np.float32), (len(files), 1))
    ids = [str(f.relative_to(root)) for f in files]
    return Originals("yaleb", root, ADVICE).splits({"train": Listed(files, ids, boxes=boxes, identity=subjects)})
