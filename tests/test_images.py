"""The one reader of images: every way up, every depth, every transparency, and words for whatever is no image."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmbench.data import images
from lmbench.data.images import read_header, read_image, unread
from lmbench.errors import DataError

WIDE, HIGH = 40, 24
CARRIERS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "MPO")


def four_corners() -> np.ndarray:
    """(HIGH, WIDE, 3): red top left, green top right, blue bottom left, white bottom right."""
    picture = np.zeros((HIGH, WIDE, 3), np.uint8)
    picture[:12, :20, 0] = picture[:12, 20:, 1] = picture[12:, :20, 2] = 255
    picture[12:, 20:] = 255
    return picture


def corners(image: Image.Image) -> str:
    """The colours of the quarters of an image: top left, top right, bottom left, bottom right."""
    w, h = image.size
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    at = [(w // 4, h // 4), (3 * w // 4, h // 4), (w // 4, 3 * h // 4), (3 * w // 4, 3 * h // 4)]
    return "".join(names[tuple(int(v > 128) for v in image.getpixel(p))] for p in at)  # type: ignore[union-attr]


# CIPA DC-008, table 6: what is the 0th row and the 0th column of the stored pixels, hence how the picture looks upright.
LOOKS = {1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "brwg", 7: "wgbr", 8: "gwrb"}


def encoded(picture: Image.Image, kind: str, **settings: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **settings)
    return out.getvalue()


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(four_corners()), kind, exif=exif)


def late_exif(content: bytes, orientation: int) -> bytes:
    """A PNG with the chunk eXIf behind its pixels, where exiftool puts it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    end = content.rindex(b"IEND") - 4
    return content[:end] + chunk + content[end:]


def grey(content: bytes) -> list[int]:
    image, _ = read_image(content, "a", "t")
    assert image.mode == "RGB"
    return np.asarray(image)[0, :, 0].tolist()


@pytest.mark.parametrize("kind", CARRIERS)
@pytest.mark.parametrize("orientation", LOOKS)
def test_an_image_of_every_orientation_is_read_upright_or_as_stored(kind: str, orientation: int) -> None:
    content = turned(kind, orientation)
    for raw, looks in ((False, LOOKS[orientation]), (True, LOOKS[1])):
        image, done = read_image(content, "a", "t", raw=raw)
        header = read_header(content, "a", "t")
        assert corners(image) == looks
        assert image.size == header.size(raw)
        assert done == header.work(raw)
        assert ("turned upright by their EXIF orientation" in done) == (orientation != 1 and not raw)


def test_the_orientation_of_a_png_counts_behind_its_pixels_too() -> None:
    content = late_exif(encoded(Image.fromarray(four_corners()), "PNG"), 6)
    image, _ = read_image(content, "a", "t")
    assert corners(image) == LOOKS[6] and read_header(content, "a", "t").upright == (HIGH, WIDE)


@pytest.mark.parametrize("orientation", [0, 9, 200])
def test_an_orientation_that_means_nothing_is_none(orientation: int) -> None:
    image, done = read_image(turned("JPEG", orientation), "a", "t")
    assert corners(image) == LOOKS[1] and done == ()


def test_damaged_metadata_beside_a_sound_image_is_passed_over() -> None:
    content = turned("JPEG", 6).replace(b"Exif\0\0MM", b"Exif\0\0XX").replace(b"Exif\0\0II", b"Exif\0\0XX")
    image, _ = read_image(content, "a", "t")
    assert corners(image) == LOOKS[1]


RAMP = np.array([[0, 128, 257, 5140, 32896, 65535]], np.uint16)  # by 257: 0, 0.498, 1, 20, 128, 255
SCALED = [0, 0, 1, 20, 128, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_brought_to_eight_over_their_full_range(kind: str) -> None:
    content = encoded(Image.fromarray(RAMP), kind)
    assert grey(content) == SCALED
    assert read_image(content, "a", "t")[1] == ("of integers brought to 8 bits from 0..65535",)
    assert read_header(content, "a", "t").done == read_image(content, "a", "t")[1]


def test_a_plain_pgm_of_sixteen_bits_is_read_by_its_own_maximum() -> None:
    assert grey(b"P2 3 1 1000\n0 500 1000\n") == [0, 128, 255]


def with_tag(content: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another value for a tag of one short number."""
    at = content.index(struct.pack("<HHI", tag, 3, 1)) + 8
    return content[:at] + struct.pack("<H", value) + content[at + 2 :]


def test_whole_numbers_of_a_tiff_are_read_over_the_range_of_their_type() -> None:
    signed = encoded(Image.fromarray(np.array([[-(2**31), 0, 2**31 - 1]], np.int32)), "TIFF")
    assert grey(signed) == [0, 128, 255]
    same_bits = np.array([[0, 2**31, 2**32 - 1]], np.uint32).view(np.int32)
    unsigned = with_tag(encoded(Image.fromarray(same_bits), "TIFF"), 339, 1)
    assert grey(unsigned) == [0, 128, 255]
    assert read_header(unsigned, "a", "t").done == ("of integers brought to 8 bits from 0..4294967295",)


def test_where_white_is_zero_sixteen_bits_are_turned_round() -> None:
    assert grey(with_tag(encoded(Image.fromarray(RAMP), "TIFF"), 262, 0)) == [255 - v for v in SCALED]


def test_floats_are_read_from_zero_to_one() -> None:
    values = np.array([[0, 0.25, 1]], np.float32)
    content = encoded(Image.fromarray(values), "TIFF")
    assert grey(content) == [0, 64, 255]
    assert read_image(content, "a", "t")[1] == ("of floats brought to 8 bits from 0..1",)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[0, np.nan]], np.float32), r"a\.tif holds values NaN or infinite ones among them; 0 \(black\) to 1"),
        (np.array([[0, np.inf]], np.float32), "NaN or infinite"),
        (np.array([[-0.5, 1]], np.float32), r"from -0\.5 to 1; 0 \(black\) to 1 \(white\) is expected"),
        (np.array([[0, 255]], np.float32), r"from 0 to 255; 0 .*Scale them to 8 bits"),
        (np.array([[0, 255]], np.int32), r"values from 0 to 255 in a type .* all one grey\. Scale them"),
        (np.array([[0, 255]], np.uint16), r"values from 0 to 255 in a type that reaches from 0 to 65535"),
    ],
)
def test_values_without_a_meaning_in_eight_bits_are_refused(values: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_image(encoded(Image.fromarray(values), "TIFF"), "a.tif", "t")


def test_a_black_image_of_sixteen_bits_is_black() -> None:
    assert grey(encoded(Image.fromarray(np.zeros((1, 3), np.uint16)), "PNG")) == [0, 0, 0]


def deep_colour(*values: int) -> bytes:
    """A PNG of two pixels with 16 bits a channel, written by hand, as Pillow cannot."""
    pixels = b"\0" + struct.pack(">6H", *values)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def test_of_sixteen_bit_colour_the_high_byte_is_read_and_said() -> None:
    image, done = read_image(deep_colour(0, 257, 5140, 32896, 65535, 255), "a", "t")
    assert np.asarray(image).ravel().tolist() == [0, 1, 20, 128, 255, 0]
    assert done == ("of 16-bit colour read by their high byte",)


def test_eight_bits_in_sixteen_bit_colour_are_refused_for_they_would_be_black() -> None:
    with pytest.raises(DataError, match=r"t: a is 16-bit colour .* all black.* save it with 8 bits"):
        read_image(deep_colour(0, 20, 255, 128, 200, 255), "a", "t")


def translucent() -> Image.Image:
    return Image.fromarray(np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 51]]], np.uint8))


def test_alpha_is_composited_on_black() -> None:
    image, done = read_image(encoded(translucent(), "PNG"), "a", "t")
    assert np.asarray(image)[0].tolist() == [[200, 100, 50], [0, 0, 0], [40, 20, 10]]
    assert done == ("with transparency composited on black",)
    image, _ = read_image(encoded(translucent().convert("LA"), "PNG"), "a", "t")
    assert np.asarray(image)[0, 1].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("mode", "kind", "settings"),
    [("P", "PNG", {"transparency": 1}), ("P", "GIF", {"transparency": 1}), ("L", "PNG", {"transparency": 1}),
     ("RGB", "PNG", {"transparency": (9, 9, 9)})],
)  # fmt: skip
def test_a_transparent_colour_is_black(mode: str, kind: str, settings: dict[str, object]) -> None:
    picture = Image.fromarray(np.array([[0, 1]], np.uint8)).copy()
    if mode == "P":
        picture.putpalette([250, 250, 250, 9, 9, 9])
    elif mode == "RGB":
        picture = Image.fromarray(np.array([[[250] * 3, [9] * 3]], np.uint8))
    else:
        picture = Image.fromarray(np.array([[250, 1]], np.uint8))
    image, done = read_image(encoded(picture, kind, **settings), "a", "t")
    assert np.asarray(image)[0].tolist() == [[250] * 3, [0] * 3]
    assert done == ("with transparency composited on black",)


def test_one_bit_palette_and_cmyk_become_rgb() -> None:
    bits = Image.fromarray(np.array([[True, False]]))
    assert grey(encoded(bits, "PNG")) == [255, 0]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).copy()
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert np.asarray(read_image(encoded(palette, "PNG"), "a", "t")[0])[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    printed = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    image, done = read_image(encoded(printed, "JPEG", quality=100), "a", "t")
    assert np.abs(np.asarray(image, int)[0, 0] - (255, 0, 0)).max() < 8 and "CMYK" in done[0]


def test_of_several_pages_the_first_is_read_and_said() -> None:
    pages = [Image.new("L", (4, 4), level) for level in (10, 200)]
    for kind in ("TIFF", "GIF"):
        content = encoded(pages[0], kind, save_all=True, append_images=pages[1:])
        assert grey(content)[0] == 10
        assert "first is read" in read_header(content, "a", "t").done[-1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (bytes(600), "begins with zeros alone"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a pointer of Git LFS.*git lfs pull"),
        (b"/annex/objects/SHA256E-s1--0.jpg\n", "is a pointer of git-annex.*git annex get"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC image; pip install pillow-heif"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "is a video"),
        (b"PK\3\4" + bytes(60), "is an archive; unpack it"),
        (b"P5\n4 x4\n255\n" + bytes(16), "cannot be read as an image"),
        (b"P5\n4 4\n70000\n" + bytes(16), "cannot be read as an image"),
        (b"hello", "is no image of a format that is recognised"),
        (turned("JPEG", 1)[:200], "is cut off"),
        (turned("PNG", 1)[:90], "is cut off|cannot be read"),
        (turned("TIFF", 1)[:90], "begins as a TIFF, but is damaged or of a kind"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_named_with_what_to_do(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(DataError, match=rf"t: bad\.jpg ({said})"):
            read_image(source, "bad.jpg", "t")


def test_a_file_that_is_gone_or_a_folder_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "gone.jpg", "No such file"), (tmp_path, "directory")):
        with pytest.raises(DataError, match=f"cannot be opened: .*{said}"):
            read_header(path, str(path), "t")


def test_an_image_beyond_the_limit_is_refused_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for size in ((30, 30), (16, 9)):
        content = encoded(Image.new("L", size), "PNG")
        if size == (16, 9):  # between the limit and its double Pillow warns: it is read
            assert read_image(content, "a", "t")[0].size == size
            continue
        with pytest.raises(DataError, match=r"big\.png has 900 pixels; at most 200 are read\. Make it smaller"):
            read_header(content, "big.png", "t")


@pytest.mark.parametrize(
    "error", [MemoryError(), OverflowError("x"), TypeError("y"), struct.error("z"), zlib.error("w"), EOFError()]
)
def test_whatever_pillow_raises_becomes_a_message(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def failing(file: object) -> Image.Image:
        raise error

    monkeypatch.setattr(images.Image, "open", failing)
    with pytest.raises(DataError, match=r"t: a\.png (needs more memory|cannot be read|is cut off)"):
        read_image(b"\x89PNG", "a.png", "t")


def test_formats_that_are_not_read_here_are_counted_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "suffixes", lambda: images.ALWAYS_READ)
    files = [Path("a.heic"), Path("b.HEIC"), Path("c.nef"), Path("d.jpg"), Path("labels.csv")]
    assert unread(files) == (
        "2 .heic files are not read: pip install pillow-heif; 1 .nef file is not read: convert them to PNG or JPEG"
    )


@pytest.mark.parametrize("suffix", [".jfif", ".jp2", ".avif"])
def test_formats_that_pillow_reads_are_found(suffix: str) -> None:
    kinds = {".jfif": "JPEG", ".jp2": "JPEG2000", ".avif": "AVIF"}
    assert suffix in images.suffixes()
    assert read_image(encoded(Image.fromarray(four_corners()), kinds[suffix]), "a", "t")[0].size == (WIDE, HIGH)
