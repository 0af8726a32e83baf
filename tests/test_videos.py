"""Videos as cameras and programs leave them: uneven frames, sound, cut files; and times that stay what they were."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lmbench.detecting.video import Frames, VideoWriter
from lmbench.errors import DataError

av = pytest.importorskip("av", reason="videos need PyAV")
UNEVEN = [0, 33, 73, 173, 673, 706, 746, 1246]  # milliseconds


def made(path: Path, times: list[int], sound: float = 0.0, shift: int = 0) -> Path:
    """A video whose frames are shown at milliseconds; its packets moved by ``shift``, and with seconds of silence beside it."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        heard: Any = file.add_stream("pcm_s16le", rate=8000) if sound else None
        for i, at in enumerate(times):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (30 * i, 99, 9)))
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            for packet in stream.encode(frame):
                ticks = int(shift / 1000 / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
        for k in range(round(sound * 10)):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
            silence.rate, silence.pts = 8000, 800 * k
            for packet in heard.encode(silence):
                file.mux(packet)
    return path


def seconds(video: Frames) -> list[float]:
    return [second for _, second, _ in video]


@pytest.mark.parametrize("end", ["mp4", "mkv"])
def test_frames_at_uneven_times_are_all_there_and_at_their_times(tmp_path: Path, end: str) -> None:
    video = Frames(made(tmp_path / f"uneven.{end}", UNEVEN))
    assert seconds(video) == pytest.approx([at / 1000 for at in UNEVEN], abs=2e-3)
    assert video.broken == ""


def test_a_video_whose_sound_goes_on_does_not_end_early(tmp_path: Path) -> None:
    video = Frames(made(tmp_path / "sound.mkv", list(range(0, 1000, 100)), sound=4))
    assert len(seconds(video)) == 10 and video.broken == ""
    whole = (tmp_path / "sound.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    cut = Frames(tmp_path / "cut.mkv")
    assert 0 < len(seconds(cut)) <= 10
    assert "ends early" in cut.broken and "of 4.00" in cut.broken


def test_the_first_second_is_that_of_the_first_frame_whatever_its_clock_shows(tmp_path: Path) -> None:
    video = Frames(made(tmp_path / "late.mkv", list(range(0, 1000, 100)), shift=60_000))
    assert seconds(video) == pytest.approx([i / 10 for i in range(10)], abs=2e-3) and video.broken == ""


@pytest.mark.parametrize("times", [UNEVEN, list(range(0, 1000, 100))], ids=["uneven", "even"])
def test_a_written_video_shows_each_frame_when_it_was_shown(tmp_path: Path, times: list[int]) -> None:
    source = Frames(made(tmp_path / "source.mkv", times))
    writer = VideoWriter(tmp_path / "drawn.mp4", source.rate)
    for _, second, image in source:
        writer.write(image, second)
    writer.close()
    drawn = Frames(tmp_path / "drawn.mp4")
    assert seconds(drawn) == pytest.approx([at / 1000 for at in times], abs=2e-3) and drawn.broken == ""


def test_frames_that_claim_one_time_are_written_one_after_the_other(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "drawn.mp4", Fraction(10))
    for second in (0.0, 0.5, 0.5, 0.2, 1.0):
        writer.write(Image.new("RGB", (64, 48)), second)
    writer.close()
    found = seconds(Frames(tmp_path / "drawn.mp4"))
    assert len(found) == 5 and found == sorted(found) and found[-1] == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 4000, b"RIFF\x10\0\0\0AVI LIST"], ids=["empty", "zeros", "a header alone"]
)
def test_a_file_without_a_video_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.avi").write_bytes(content)
    with pytest.raises(DataError, match=r"cut off, damaged or none|holds no"):
        seconds(Frames(tmp_path / "v.avi"))
