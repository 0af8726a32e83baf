"""Videos as images one after the other, and images as a video. PyAV reads and writes them (the extra ``lmbench[video]``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from lmbench.errors import DataError

VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".mts"})
CODECS = ("libx264", "mpeg4")  # the first that PyAV was built with
SLACK = 1  # frames that a length or a header may be off
RATE = 25  # frames a second where a video does not state its own
TICKS = 60_000  # a second, in which the times of written frames are kept: no codec takes more than 65,535


def is_video(path: Path) -> bool:
    """Whether a file is called as videos are."""
    return path.suffix.lower() in VIDEOS


class Frames:
    """The frames of a video: (number from 0, second from its start, upright RGB image), decoded one by one.

    ``expected``: how many its header says there are, or about how many its length makes, 0 where it says neither. ``broken``:
    once it was gone through, why it ended before its end; empty where it did not. Raises DataError where there is no video in
    it, and while going through where there is no frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = ""
        with self._opened() as (container, stream):
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or RATE)
            self._counted = int(stream.frames)
            self._alone = bool(stream.duration)  # its own length is stated, and not that of all streams together
            self._length = float(stream.duration * stream.time_base) if self._alone else _length(container)
            self.expected = self._counted or round(self._length * self.rate)

    def __iter__(self) -> Iterator[tuple[int, float, Image.Image]]:
        number, why = 0, ""
        gap, last = float(1 / self.rate), 0.0
        with self._opened() as (container, stream):
            stream.thread_type = "AUTO"
            reached = _Reached(container, stream if self._alone else None)
            frames = (frame for packet in reached if packet.stream == stream for frame in packet.decode())
            while True:
                try:
                    frame = next(frames)
                except StopIteration:
                    break
                except Exception as error:  # of FFmpeg, of which PyAV has a class for each
                    why = f" ({_said(error)})"
                    break
                seconds = float(number / self.rate) if frame.time is None else float(frame.time) - reached.start
                gap, last = max(gap, seconds - last if number else 0.0), seconds
                yield number, seconds, _upright(frame)
                number += 1
        if number == 0:
            raise DataError(
                f"{self.path} holds no frame that can be read{why}; copy it again, or convert it to MP4 (H.264)."
            )
        # A cut list keeps more frames in the file than it shows, and no rate tells how many an uneven one has: time tells.
        short = number < self._counted - SLACK if not self._length else reached.second < self._length - SLACK * gap
        if why or short:
            of = f" of {self._counted:,}" if self._counted else ""
            until = f", until second {last:.2f} of {self._length:.2f}" if self._length else ""
            self.broken = f"{self.path} ends early: {number:,}{of} frames could be read{until}{why}"

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        av = pyav()
        if not self.path.is_file():
            raise DataError(f"{self.path}: there is no such file.")
        try:
            container = av.open(str(self.path))
        except Exception as error:
            raise DataError(
                f"{self.path} cannot be opened as a video ({_said(error)}): it is cut off, damaged or none. Copy it again, or "
                "convert it to MP4 (H.264)."
            ) from None
        with container:
            if not container.streams.video:
                raise DataError(
                    f"{self.path} holds no video, only {', '.join(s.type for s in container.streams) or 'nothing'}."
                )
            yield container, container.streams.video[0]


class _Reached:
    """The packets of all streams of a container, and the ``second`` that those of one stream, or of all, reach by its clock.

    ``start``: what that clock shows at its start. Some containers count it into the length that they state, some do not.
    """

    def __init__(self, container: Any, of: Any = None) -> None:
        self._container, self._of, self.second = container, of, 0.0
        self.start = float((container.start_time or 0) / 1e6)

    def __iter__(self) -> Iterator[Any]:
        for packet in self._container.demux():
            if packet.pts is not None and (self._of is None or packet.stream == self._of):
                self.second = max(self.second, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            yield packet


class VideoWriter:
    """A video written frame by frame; the size of the first is that of all (made even, as H.264 wants it)."""

    def __init__(self, path: Path, rate: Fraction) -> None:
        av = pyav()
        self._av, self._container = av, av.open(str(path), "w")
        codec = next(c for c in CODECS if c in av.codecs_available)
        self._stream = self._container.add_stream(codec, rate=rate)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._rate, self._number, self._at = rate, 0, -1
        self._size: tuple[int, int] | None = None

    def write(self, image: Image.Image, second: float | None = None) -> None:
        """Adds a frame that is shown at a ``second``; where none is said, at the video's rate."""
        if self._size is None:
            self._size = (max(2, image.width // 2 * 2), max(2, image.height // 2 * 2))
            self._stream.width, self._stream.height = self._size
        if image.size != self._size:
            image = image.crop((0, 0, *self._size))
        frame = self._av.VideoFrame.from_image(image)
        self._at = max(self._at + 1, round((self._number / self._rate if second is None else second) * TICKS))
        frame.pts, frame.time_base, self._number = self._at, Fraction(1, TICKS), self._number + 1
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        for packet in self._stream.encode() if self._size else ():
            self._container.mux(packet)
        self._container.close()


def pyav() -> Any:
    """The module ``av``. Raises DataError where it is not installed."""
    try:
        import av
    except ImportError:
        raise DataError(
            "videos are read and written by PyAV, which is not installed: pip install 'lmbench[video]'."
        ) from None
    av.logging.set_level(av.logging.PANIC)  # what FFmpeg says of a damaged file is told in our words
    return av


def _upright(frame: Any) -> Image.Image:
    """A frame as players show it: phones keep the way they were held beside the pixels."""
    image: Image.Image = frame.to_image()
    turned = getattr(frame, "rotation", 0) % 360
    return image.rotate(turned, expand=True) if turned else image


def _length(container: Any) -> float:
    """Seconds that a file says it lasts, which some keep for all streams together, in microseconds."""
    return float(container.duration or 0) / 1e6


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error).splitlines()[0][:200]
