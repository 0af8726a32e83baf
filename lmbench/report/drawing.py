"""The pictures beside a record."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lmbench import progress
from lmbench.data.pixels import PixelStore
from lmbench.errors import LmbenchError
from lmbench.metrics.base import Predictions
from lmbench.metrics.pixels import Confusions
from lmbench.results.record import Row


def draw_run(
    folder: Path,
    stages: list[dict[str, Any]],
    evaluated: Sequence[Predictions | Confusions],
    rows: Sequence[Row],
    test: PixelStore,
) -> None:
    """Draws what was learned and measured; a picture that fails is no reason to lose a measurement.

    ``stages`` and ``rows`` are the record's, ``test`` the images that were judged.
    """
    from lmbench.report.pictures import draw_overlay
    from lmbench.report.plots import draw_accuracy, draw_curve, draw_scale
    from lmbench.report.weights import draw_regressor

    drawings = [partial(draw_curve, stages, folder / "curve.png")] if stages else []
    curves = [row for row in rows if row.metric == "acc_curve"]
    drawings += [partial(draw_accuracy, curves, folder / "accuracy.png")] if curves else []
    zooms = [row for row in rows if row.task == "scale"]
    drawings += [partial(draw_scale, zooms, folder / "scale.png")] if zooms else []
    fitted = [p for p in evaluated if isinstance(p, Predictions) and p.task == "regression"]
    regression = next((p for p in fitted if p.subset is None and p.n_annotations == "all"), None)
    regression = regression or next(iter(fitted), None)
    if regression is not None:
        drawings.append(partial(draw_overlay, regression, test, folder / "overlay.png"))
        drawings.append(partial(draw_regressor, folder, regression, test))
    for draw in drawings:
        try:
            draw()
        except (OSError, ValueError, LmbenchError) as error:
            progress.say(f"warning: no picture: {error}")
