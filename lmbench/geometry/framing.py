"""How an image comes before a network: the part of its source that is taken, and the square it is resized to. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Preprocessing:
    """From a sample's box to the network's image: resize it to a square of ``resize``, cut ``crop`` pixels off each side.

    Convention, with ``s = resize / side``: ``centres="papers"`` moves landmarks as the reference code does,
    ``p' = (p - origin of the box) * s - crop``, which does not tell the corner of a pixel from its centre, so that a landmark
    comes to lie ``(s - 1) / 2`` pixels left of and above its pixel. ``centres="kept"`` keeps it there:
    ``p' = (p + 0.5 - origin) * s - 0.5 - crop``. Resizing is Pillow's antialiased bilinear. Where a box reaches beyond the
    source image, pixels have the grey level ``fill`` (0 black, 255 white).
    """

    resize: int
    crop: int = 0
    fill: int = 0
    centres: Literal["papers", "kept"] = "papers"

    @property
    def size(self) -> int:
        return self.resize - 2 * self.crop

    @property
    def half(self) -> float:
        """What is added to a landmark before it is scaled, and taken off after it."""
        return 0.5 if self.centres == "kept" else 0.0


@dataclass(frozen=True, kw_only=True)
class Framing:
    """Which part of a source image the preprocessing of a dataset is given: its box, and what that is made of.

    ``kind``: the ``whole`` image; its ``central`` square; the whole image ``padded`` to a square; one ``fixed`` box of
    images that are all ``image`` pixels large; a ``box`` of the object that the dataset states; or the extent of the
    annotated ``landmarks``, which nobody has for a new image. Sides of the last two and of ``padded`` are multiplied by
    ``factor`` about the box's centre; ``square``: its longer side is, and the frame is a square in whole pixels.
    ``of`` says what the box holds. ``rule``: a lazy target for another way, called with boxes (N, 4) of the object and the
    images' sizes (N, 2), returns frames (N, 4). ``raw``: pixels are read as they are stored, whatever EXIF says.
    """

    kind: Literal["whole", "central", "padded", "fixed", "box", "landmarks"]
    of: str = ""
    factor: float = 1.0
    square: bool = False
    box: tuple[float, float, float, float] | None = None
    image: tuple[int, int] | None = None
    rule: str = ""
    raw: bool = False

    @property
    def from_labels(self) -> bool:
        """Whether the frame of a new image must be told: it is made of what only annotated images have."""
        return self.kind in ("box", "landmarks")


WHOLE_IMAGE = Framing(kind="whole")
