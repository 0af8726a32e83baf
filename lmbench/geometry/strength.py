"""How strong a random thin-plate-spline warp is, as data; `warps.py` draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lmbench.config.ranges import Degrees, Ge, Le

Deviation = Annotated[float, Ge(0), Le(10)]


@dataclass(frozen=True)
class TPSStrength:
    """Standard deviations of a random thin-plate-spline warp, in the order of the reference's arguments.

    ``transsd`` is in half image sides, ``rotsd`` in degrees; each kernel weight is drawn with ``warpsd_all``
    and, with probability 1/2, drawn again with ``warpsd_subset``.
    """

    warpsd_all: Deviation
    warpsd_subset: Deviation
    transsd: Deviation
    scalesd: Deviation
    rotsd: Degrees

    def scaled(self, spline: float, affine: float) -> TPSStrength:
        """This strength, the kernel's deviations times ``spline`` and the affine ones times ``affine``."""
        return TPSStrength(
            spline * self.warpsd_all,
            spline * self.warpsd_subset,
            affine * self.transsd,
            affine * self.scalesd,
            affine * self.rotsd,
        )


TRAIN_PAIR = TPSStrength(0.001, 0.01, 0.1, 0.1, 5.0)  # DVE utils/tps.py, Warper
EVAL_PAIR = TPSStrength(0.0005, 0.005, 0.05, 0.05, 2.5)  # DVE test_matching.py; both multipliers are 1 there
SINGLE = TPSStrength(0.0005, 0.0, 0.02, 0.02, 2.0)  # DVE utils/tps.py, WarperSingle (few-shot regression)
