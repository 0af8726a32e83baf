"""How strong the paper's warps are (supplement, Table 1, faces and cats). Plain data: no torch here.

Standard deviations of the spline's weights, drawn again with probability 1/2 by the second, then translation (half image
sides), scale, rotation (degrees).
"""

from __future__ import annotations

from collections.abc import Mapping

FACES_G1: Mapping[str, float] = {
    "warpsd_all": 0.001, "warpsd_subset": 0.001, "transsd": 0.0, "scalesd": 0.0, "rotsd": 0.0,
}  # fmt: skip
FACES_G2: Mapping[str, float] = {
    "warpsd_all": 0.001, "warpsd_subset": 0.01, "transsd": 0.1, "scalesd": 0.05, "rotsd": 20.0,
}  # fmt: skip
