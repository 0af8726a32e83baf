"""The one reader of images: from a file or its bytes to an upright 8-bit RGB image, and what was done to get there.

Rules, the same for every dataset and for `predict`:

* An EXIF orientation is applied, in every format that carries one, as viewers do; ``raw`` reads the pixels as they are stored.
* 16-bit, 12-bit and 32-bit integers are brought to 8 bits over the full range of their type (65535 is 255), floats from 0..1.
  A NaN, floats beyond 0..1, and values that would all become one grey level or two are refused. Of 16-bit colour Pillow
  keeps the high byte.
* Alpha, a transparent palette entry or colour: composited on black, which is also what lies beyond an image.
* Grey, palette, 1-bit and CMYK become RGB by Pillow's conversion. Of several frames or pages the first is read.

Whatever Pillow raises becomes a DataError with the file's name and what to do.
"""

from __future__ import annotations

import importlib
import io
import re
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError, features

from lmbench.errors import DataError

Transpose = Image.Transpose
UPRIGHT: Final = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip
"""How the pixels of an EXIF orientation are brought upright (CIPA DC-008, tag 274)."""
STORED: Final = {**UPRIGHT, 6: Transpose.ROTATE_90, 8: Transpose.ROTATE_270}
"""The way back, for formats that Pillow turns by itself."""
ON_ITS_SIDE = (5, 6, 7, 8)  # width and height change places
LEAST_LEVELS = 2  # of 255: what is darker than this was saved in too large a type
BITS, SAMPLE_FORMAT, PHOTOMETRIC, WHITE_IS_ZERO = 258, 339, 262, 0  # tags of TIFF
SIGNED = 2

ALWAYS_READ = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"}
)
CODECS = {"jpg_2000": (".jp2", ".j2k"), "avif": (".avif",)}  # of Pillow, where it was built with them
PLUGINS = {
    "pillow_heif.HeifImagePlugin": ("pillow-heif", (".heic", ".heif", ".hif")),
    "pillow_jxl": ("pillow-jxl-plugin", (".jxl",)),
}
"""Plugins of Pillow that register themselves when they are imported: module, distribution, suffixes."""
MAGIC = {b"II*\0": "TIFF", b"MM\0*": "TIFF", b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"GIF8": "GIF", b"RIFF": "WebP"}
CAMERAS = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".psd", ".exr", ".svg")


@dataclass(frozen=True)
class Header:
    """What an image's header tells. ``stored``: width and height of its pixels; ``done``: what reading it upright takes."""

    stored: tuple[int, int]
    orientation: int
    done: tuple[str, ...]

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height of the image as viewers show it."""
        return self.stored[::-1] if self.orientation in ON_ITS_SIDE else self.stored

    def size(self, raw: bool) -> tuple[int, int]:
        return self.stored if raw else self.upright

    def work(self, raw: bool) -> tuple[str, ...]:
        """What reading it takes, in the words of a remark."""
        if self.orientation == 1:
            return self.done
        return (
            "read as stored, against their EXIF orientation" if raw else "turned upright by their EXIF orientation",
            *self.done,
        )


def read_image(source: Path | bytes, name: str, where: str, raw: bool = False) -> tuple[Image.Image, tuple[str, ...]]:
    """An 8-bit RGB image and what was done to it. ``raw``: an EXIF orientation is not applied.

    Raises DataError naming ``where`` and the file: missing, empty, damaged, too large, or of values with no 8-bit meaning.
    """
    with _opened(source, name, where) as image:
        return _read(image, f"{where}: {name}", raw)


def rgb_of(image: Image.Image, name: str, where: str) -> Image.Image:
    """An 8-bit RGB image, upright, of one that somebody opened or made himself. Raises DataError as `read_image` does."""
    try:
        return _read(image, f"{where}: {name}", raw=False)[0]
    except DataError:
        raise
    except Exception as error:  # of a file that was opened and not yet decoded
        raise DataError(f"{where}: {name} cannot be read as an image ({error}).") from None


def _read(image: Image.Image, what: str, raw: bool) -> tuple[Image.Image, tuple[str, ...]]:
    header = _header(image)
    turned_by_pillow = image.format == "TIFF"
    rgb = _eight_bits(image, what)
    ways = STORED if turned_by_pillow else UPRIGHT
    if header.orientation in ways and raw == turned_by_pillow:
        rgb = rgb.transpose(ways[header.orientation])
    return rgb, header.work(raw)


def read_grey(source: Path | bytes, name: str, where: str) -> np.ndarray:
    """(H, W) uint8 of a grey image as it is stored: a mask, whose values are no colours. Raises DataError naming the file."""
    with _opened(source, name, where) as image:
        return np.asarray(image.convert("L"))


def read_header(source: Path | bytes, name: str, where: str) -> Header:
    """Size, orientation and kind of an image, without decoding it. Raises DataError as `read_image` does."""
    with _opened(source, name, where) as image:
        return _header(image)


def summary(counts: Mapping[str, int], total: int) -> str:
    """``3 of 10 images turned upright by their EXIF orientation; ...``, of counted ``work``; empty where there was none."""
    return "; ".join(f"{number} of {total} images {work}" for work, number in counts.items())


@cache
def suffixes() -> frozenset[str]:
    """The suffixes of images that can be read here: Pillow's own, and those of its plugins that are installed."""
    found = set(ALWAYS_READ)
    for codec, more in CODECS.items():
        found |= set(more) if features.check(codec) else set()
    for module, (_, more) in PLUGINS.items():
        try:
            importlib.import_module(module)
        except Exception:  # absent or broken: its files are counted and named
            continue
        found |= set(more)
    return frozenset(found)


def unread(files: Iterable[Path]) -> str:
    """``3 .heic files are not read: pip install pillow-heif``; empty where every image has a suffix that is read."""
    advice = dict.fromkeys(CAMERAS, "convert them to PNG or JPEG")
    advice |= {s: "install a Pillow built with this codec" for more in CODECS.values() for s in more}
    advice |= {s: f"pip install {package}" for package, more in PLUGINS.values() for s in more}
    counts = Counter(f.suffix.lower() for f in files)
    parts = [
        f"{number} {suffix} file{'s are' if number > 1 else ' is'} not read: {advice[suffix]}"
        for suffix, number in sorted(counts.items())
        if suffix in advice and suffix not in suffixes()
    ]
    return "; ".join(parts)


@contextmanager
def _opened(source: Path | bytes, name: str, where: str) -> Iterator[Image.Image]:
    """An image whose header was read, while the block runs; what Pillow raises there becomes a DataError."""
    suffixes()  # registers the plugins
    try:
        with warnings.catch_warnings(), _stream(source) as file:
            warnings.simplefilter("ignore")  # of a large image or odd metadata: it is read all the same
            with Image.open(file) as image:
                yield image
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes of them, struct.error included
        raise DataError(f"{where}: {name} {_why(error, source)}") from None


def _stream(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _header(image: Image.Image) -> Header:
    width, height = image.size
    if _tags(image).get(ExifTags.Base.Orientation) in ON_ITS_SIDE:  # of TIFF Pillow tells the upright size
        width, height = height, width
    return Header((width, height), _orientation(image), tuple(_conversions(image)))


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1 where the file says nothing or nonsense, as viewers take it."""
    try:
        exif = Image.Image.getexif(image)  # that of PNG would decode the image in search of a chunk behind it
        value = exif.get(ExifTags.Base.Orientation)
        if value is None and image.format == "PNG":
            value = _late_exif(image).get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, KeyError, TypeError, struct.error):  # damaged metadata beside a sound image
        return 1
    return value if isinstance(value, int) and value in UPRIGHT else 1


def _tags(image: Image.Image) -> Mapping[int, Any]:
    """The tags of a TIFF, nothing for other formats."""
    return getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def _late_exif(image: Image.Image) -> Image.Exif:
    """The chunk eXIf of a PNG that stands behind the pixels, where programs append it."""
    found, file = Image.Exif(), image.fp  # type: ignore[attr-defined]
    if file is None:  # decoded before, and Pillow has found what there was
        return found
    at = file.tell()
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            found.load(b"Exif\0\0" + file.read(length))
            break
        file.seek(length + 4, io.SEEK_CUR)
    file.seek(at)
    return found


def _conversions(image: Image.Image) -> Iterator[str]:
    """What has to be done to this kind of image, in the words of a remark."""
    scale = _range(image)
    if scale is not None:
        low, high = scale
        kind = "floats" if image.mode == "F" else "integers"
        yield f"of {kind} brought to 8 bits from {low:.10g}..{high:.10g}"
    elif _is_deep_colour(image):
        yield "of 16-bit colour read by their high byte"
    if _has_alpha(image):
        yield "with transparency composited on black"
    if image.mode == "CMYK":
        yield "of CMYK converted to RGB without a colour profile"
    if image.format != "MPO" and getattr(image, "is_animated", False):
        yield "of several frames or pages, of which the first is read"


def _range(image: Image.Image) -> tuple[float, float] | None:
    """The values of the source's type that become 0 and 255; None for 8-bit images."""
    if image.mode == "F":
        return 0.0, 1.0
    tags = _tags(image)
    bits = _first(tags.get(BITS, 16))
    if image.mode.startswith("I;16"):
        return 0.0, 2.0**bits - 1
    if image.mode != "I":
        return None
    if _first(tags.get(SAMPLE_FORMAT, 1)) == SIGNED:
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1  # a PGM's values were brought to 16 bits by Pillow


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether an image that is not loaded yet has 16 bits a channel, and more than one."""
    return image.mode in ("RGB", "RGBA", "LA") and ";16" in str([tile[3] for tile in getattr(image, "tile", [])[:1]])


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _eight_bits(image: Image.Image, what: str) -> Image.Image:
    """The image, decoded, in mode RGB. Raises DataError where its values have no 8-bit meaning."""
    deep = _is_deep_colour(image)  # which its tiles tell until it is loaded
    image.load()
    if deep and np.asarray(image.convert("RGB")).max() < LEAST_LEVELS:
        raise DataError(
            f"{what} is 16-bit colour of which the high bytes, which Pillow keeps, are all black. Where its values lie in the "
            "low bytes (0..255 in a 16-bit file), save it with 8 bits."
        )
    scale = _range(image)
    if scale is not None:
        return Image.fromarray(_grey(image, *scale, what)).convert("RGB")
    if _has_alpha(image):
        full = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", full.size, (0, 0, 0, 255)), full).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image, low: float, high: float, what: str) -> np.ndarray:
    """(H, W) uint8 of an image of one channel with large integers or floats."""
    values = np.asarray(image)
    if image.mode == "I" and high > np.iinfo(np.int32).max:
        values = values.view(np.uint32)  # Pillow keeps unsigned ones in a signed type
    values = values.astype(np.float64)
    darkest, lightest = float(values.min()), float(values.max())
    way_out = "Scale them to 8 bits and save them as PNG, all images by one rule."
    if not (np.isfinite(values).all() and low <= darkest and lightest <= high):
        finite = np.isfinite(values).all()
        found = f"from {darkest:g} to {lightest:g}" if finite else "NaN or infinite ones among them"
        raise DataError(
            f"{what} holds values {found}; {low:.10g} (black) to {high:.10g} (white) is expected. {way_out}"
        )
    if 0 < (lightest - darkest) / (high - low) * 255 < LEAST_LEVELS:
        raise DataError(
            f"{what} holds values from {darkest:g} to {lightest:g} in a type that reaches from {low:.10g} to {high:.10g}: "
            f"over its full range they are all one grey. {way_out}"
        )
    grey = (values - low) * (255 / (high - low))
    if _tags(image).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    grey = np.rint(grey)
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = 0
    return grey.astype(np.uint8)


def _why(error: Exception, source: Path | bytes) -> str:
    """What is wrong with a file and what to do, as the end of a sentence that began with its name."""
    if isinstance(error, OSError) and error.errno is not None and not isinstance(source, bytes):
        return f"cannot be opened: {error.strerror or error}."
    if isinstance(error, MemoryError):
        return "needs more memory than there is; make it smaller."
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\d+", str(error))
        count = f"{int(pixels[0]):,} pixels" if pixels else "too many pixels"
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return f"has {count}; at most {most:,} are read. Make it smaller, cut it into tiles, or take it out."
    try:
        with _stream(source) as file:
            head = file.read(512)
    except OSError as failure:
        return f"cannot be opened: {failure.strerror or failure}."
    known = _known(head)
    if known:
        return known
    kind = next((k for magic, k in MAGIC.items() if head.startswith(magic)), "")
    if isinstance(error, UnidentifiedImageError) and kind:
        return f"begins as a {kind}, but is damaged or of a kind that Pillow does not read; convert it to 8-bit PNG."
    if isinstance(error, UnidentifiedImageError):
        return "is no image of a format that is recognised; fetch it again, convert it to PNG or take it out."
    if "truncated" in str(error).lower() or isinstance(error, EOFError):
        return f"is cut off ({error or 'it ends too early'}); fetch it again or take it out."
    said = str(error) or type(error).__name__
    return f"cannot be read as an image ({said}); fetch it again, convert it to PNG or take it out."


def _known(head: bytes) -> str:
    """What a file is that is none of the images that are read; empty where its first bytes do not tell."""
    start = head.lstrip().lower()
    if not head:
        return "is empty; fetch it again or take it out."
    if not head.strip(b"\0"):
        return "begins with zeros alone: a download or a copy broke off. Fetch it again or take it out."
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the image; run `git lfs pull` where it was cloned."
    if head.startswith((b"/annex/objects", b"../.git/annex", b".git/annex")):
        return "is a pointer of git-annex, not the image; run `git annex get` where it was cloned."
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")) and b"<svg" not in start:
        return "is a web page, not an image: the server answered something else. Fetch it again or take it out."
    if b"<svg" in start:
        return "is a drawing (SVG), not pixels; convert it to PNG."
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1"):
        return "is a HEIC image; pip install pillow-heif, or convert it to JPEG."
    if head[4:8] == b"ftyp" and head[8:12] in (b"isom", b"mp42", b"mp41", b"qt  ", b"avc1", b"M4V "):
        return "is a video; take out its frames, for instance with ffmpeg."
    if head.startswith((b"PK\3\4", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf")):
        return "is an archive; unpack it."
    return ""
