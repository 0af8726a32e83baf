"""`lmbench label`: who may read and write, what is kept, and what is told."""

from __future__ import annotations

import csv
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelling_page import colours_network, served
from marked_images import spotted
from PIL import Image
from small_runs import run_here

from lmbench.errors import BusyError, DataError, StaleError, UsageError
from lmbench.fitting.labels import read_labels
from lmbench.labelling import proposals
from lmbench.labelling import session as sessions
from lmbench.labelling.images import ImageFolder
from lmbench.labelling.proposals import Proposer
from lmbench.labelling.server import LabelServer
from lmbench.labelling.session import ConflictError, Session
from lmbench.labelling.table import HIDDEN, LabelTable
from lmbench.store.files import locked

NAMES = ("nose", "tail")


def labelling(folder: Path, *names: str) -> Session:
    return Session(ImageFolder(folder), LabelTable(folder / "labels.csv", names or NAMES))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabelServer]:
    spotted(tmp_path / "mice", 3)
    (tmp_path / "secret.png").write_bytes((tmp_path / "mice" / "img00.png").read_bytes())
    with served(labelling(tmp_path / "mice")) as found:
        yield found


def asked(server: LabelServer, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, str]:
    """(status, headers, text); headers are those of the page itself unless others are given, None leaves one out."""
    own = f"http://127.0.0.1:{server.port}"
    sent = {"Host": own[7:], **({"Origin": own, "Content-Type": "application/json"} if method == "POST" else {})}
    sent |= {k.replace("_", "-"): v for k, v in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest(method, path.replace("TOKEN", server.token), skip_host=True)
    content = b"" if body is None else json.dumps(body).encode()
    for name, value in {"Content-Length": str(len(content)), **sent}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(content)
    answer = connection.getresponse()
    text = answer.read().decode("latin-1")
    connection.close()
    return answer.status, answer.headers, text


MARKS = {"marks": [[10, 12.5], None], "revision": 0}


def test_the_page_and_its_images_are_there_for_whoever_has_the_address(server: LabelServer) -> None:
    status, headers, text = asked(server, "GET", "/TOKEN/")
    assert status == 200 and "lmbench label" in text and server.token not in text
    policy = text.partition('Content-Security-Policy" content="')[2].partition('"')[0].replace("&#39;", "'")
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
    assert (
        "frame-ancestors 'none'" in headers["Content-Security-Policy"] and headers["Referrer-Policy"] == "no-referrer"
    )
    status, headers, text = asked(server, "GET", "/TOKEN/image/1")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert text.encode("latin-1") == server.session.folder.path(1).read_bytes()
    assert asked(server, "POST", "/TOKEN/marks/1", MARKS)[0] == 200
    assert json.loads(asked(server, "GET", "/TOKEN/marks/1")[2])["marks"] == [[10, 12.5], None]


@pytest.mark.parametrize(
    "path",
    [
        "/", "/wrong/", "/favicon.ico", "/TOKENx/", "/%54OKEN/", "/%C3%A9/image/0", "/TOKEN", "/TOKEN/image/3", "/TOKEN/image/-1",
        "/TOKEN/image/../../secret.png", "/TOKEN/image/..%2f..%2fsecret.png", "/TOKEN/image/0/../../secret.png",
        "/TOKEN/secret.png", "/TOKEN/image/img00.png",
        "/TOKEN/labels.csv", "/TOKEN//etc/passwd", "/TOKEN/image/%C2%B2", "/TOKEN/images?from=x",
    ],
)  # fmt: skip
def test_nothing_else_has_an_address(server: LabelServer, path: str) -> None:
    status, _, text = asked(server, "GET", path)
    assert status in (403, 404) and len(text) < 100


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1.evil.example:80"}, {"Host": None},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_sites_neither_read_nor_write(server: LabelServer, method: str, headers: dict[str, str]) -> None:
    """Not even with the token: a page elsewhere, a name made to lead here, another server of this machine."""
    path = "/TOKEN/marks/0"
    status, answered, text = asked(server, method, path, MARKS if method == "POST" else None, **headers)
    assert status in (400, 403) and "marks" not in text and "Access-Control-Allow-Origin" not in answered
    assert server.session.progress() == {"labelled": 0, "begun": 0}


def test_what_is_written_must_come_from_the_page_and_be_marks(server: LabelServer) -> None:
    path = "/TOKEN/marks/0"
    assert asked(server, "POST", path, MARKS, Origin=None)[0] == 403
    assert asked(server, "POST", path, MARKS, Content_Type="text/plain")[0] == 415
    assert asked(server, "POST", path, MARKS, Content_Length="9999999")[0] == 413
    assert asked(server, "OPTIONS", path)[0] == 501
    for marks in (
        [[1, 2]],
        "x",
        [[1, 2], [90, 5]],
        [[float("nan"), 1], None],
        [[10**400, 1], None],
        [[True, 1], None],
        ["seen", None],
        [[1], None],
    ):
        status, _, text = asked(server, "POST", path, {"marks": marks, "revision": 0})
        assert status == 422 and ("expected marks" in text or "is no point of an image of 80 x 60" in text), marks
    assert not (server.session.folder.folder / "labels.csv").exists()
    assert asked(server, "POST", path, MARKS, Content_Length="9" * 5000)[0] == 413


def test_a_landmark_that_no_image_shows_is_not_proposed(tmp_path: Path) -> None:
    points = spotted(tmp_path, 4)
    images = ImageFolder(tmp_path)
    proposer = Proposer(images, colours_network)
    session = Session(images, LabelTable(tmp_path / "labels.csv", ("head", "paw")), proposer)
    assert session.proposed(3)["points"] is None
    for i in range(3):
        session.put(i, {"marks": [points[i][0].tolist(), HIDDEN], "revision": 0})
    end = time.monotonic() + 60
    while proposer.status()["of"] < 3 and time.monotonic() < end:
        time.sleep(0.05)
    head, paw = session.proposed(3)["points"]
    assert len(head) == 2 and paw is None


def test_what_is_kept_of_images_does_not_grow_with_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "MOST", 4)
    points = spotted(tmp_path, 9)
    proposer = Proposer(ImageFolder(tmp_path), colours_network)
    for count in range(3, 10):
        proposer._fitted({f"img{i:02}.png": tuple(map(tuple, points[i].tolist())) for i in range(count)})
        assert len(proposer._kept) == min(count, 4)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    spotted(tmp_path / "mice", 1)
    spotted(tmp_path / "elsewhere", 1)
    os.symlink(tmp_path / "elsewhere" / "img00.png", tmp_path / "mice" / "link.png")
    session = labelling(tmp_path / "mice")
    with pytest.raises(DataError, match="link out of"):
        session.folder.shown(1)
    assert "link out of" in session.image(1)["problem"]


def test_the_last_writer_never_wins_unasked(server: LabelServer) -> None:
    first = asked(server, "POST", "/TOKEN/marks/0", MARKS)
    assert json.loads(first[2])["revision"] == 1
    status, _, text = asked(server, "POST", "/TOKEN/marks/0", {"marks": [[50, 50], None], "revision": 0})
    assert status == 409 and json.loads(text)["now"]["marks"] == MARKS["marks"]
    assert server.session.table.marks("img00.png") == ((10, 12.5), None)
    assert asked(server, "POST", "/TOKEN/marks/1", MARKS)[0] == 200  # another image is no conflict
    for window in ("a", "b", "a"):
        seen = json.loads(asked(server, "GET", f"/TOKEN/status?window={window}&image=0")[2])
    assert seen["windows"] == 2 and seen["revision"] == 1 and seen["progress"] == {"labelled": 0, "begun": 2}


def test_a_table_that_another_program_changed_is_not_written_over(tmp_path: Path) -> None:
    spotted(tmp_path, 3)
    session = labelling(tmp_path)
    session.put(0, {"marks": [[1, 2], HIDDEN], "revision": 0})
    path = tmp_path / "labels.csv"
    changed = path.read_text().replace(",1,2,1,", ",7,8,1,")
    path.write_text(changed)
    with pytest.raises(StaleError, match="changed by another program"):
        session.put(1, MARKS)
    assert "changed by another program" in session.status("a", 0)["changed"] and path.read_text() == changed
    session.reread()
    assert session.image(0)["marks"] == [(7, 8), HIDDEN] and session.image(1)["marks"] == [None, None]
    with pytest.raises(ConflictError):
        session.put(0, MARKS)  # what a window knew of before is not what is there
    assert session.put(1, MARKS | {"revision": 1})["progress"] == {"labelled": 1, "begun": 1}


def test_what_is_kept_is_what_fit_reads_and_the_page_goes_on_with(tmp_path: Path) -> None:
    spotted(tmp_path, 3)
    session = labelling(tmp_path)
    session.put(2, {"marks": [[-0.5, 59.499], [79.5, 0]], "revision": 0})
    session.put(0, {"marks": [[0, 0], HIDDEN], "revision": 0})
    rows = list(csv.DictReader((tmp_path / "labels.csv").open()))
    assert [*rows[0]] == [
        "image",
        "width",
        "height",
        "nose_x",
        "nose_y",
        "nose_visible",
        "tail_x",
        "tail_y",
        "tail_visible",
    ]
    assert [row["image"] for row in rows] == ["img00.png", "img02.png"]
    assert list(rows[0].values())[1:] == ["80", "60", "0.01", "0", "1", "", "", "0"]  # (0, 0) would mean "not labelled"
    labels = read_labels(str(tmp_path / "labels.csv"))
    assert labels.names == NAMES and [s.id for s in labels.samples] == ["img00.png", "img02.png"]
    assert labels.samples[0].visible.tolist() == [True, False]
    assert labels.samples[1].points.tolist() == [[-0.5, 59.5], [79.5, 0]]
    again = labelling(tmp_path, "nose", "tail", "ear")
    assert again.table.marks("img00.png") == ((0.01, 0), HIDDEN, None) and again.about()["start"] == 0
    with pytest.raises(UsageError, match="tail would be lost"):
        labelling(tmp_path, "nose")
    session.put(0, {"marks": [None, None], "revision": 1})
    assert len(list(csv.DictReader((tmp_path / "labels.csv").open()))) == 1


def test_columns_and_rows_of_others_stay_in_a_table(tmp_path: Path) -> None:
    spotted(tmp_path, 2)
    text = 'image;mouse;nose_x;nose_y;note\nimg01.png;Ann;3;4;"a, b"\nfar/away.png;Bob;;;\n'
    (tmp_path / "labels.csv").write_text(text)
    session = Session(ImageFolder(tmp_path), LabelTable(tmp_path / "labels.csv"))
    assert session.table.names == ("nose",)
    session.put(0, {"marks": [[5, 6]], "revision": 0})
    rows = list(csv.DictReader((tmp_path / "labels.csv").open()))
    assert [(r["image"], r["mouse"], r["nose_x"], r["note"]) for r in rows] == [
        ("far/away.png", "Bob", "", ""), ("img00.png", "", "5", ""), ("img01.png", "Ann", "3", "a, b"),
    ]  # fmt: skip
    assert session.progress() == {"labelled": 2, "begun": 0}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "which landmarks"), (["nose", "Nose"], "are one name"), (["bbox"], "reads like a box"), (["a\nb"], "is no name"),
        (["\u202ea"], "is no name"), (["x" * 200], "is no name"),
    ],
)  # fmt: skip
def test_names_that_a_table_cannot_carry_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LabelTable(tmp_path / "labels.csv", names)


def test_names_of_every_script_are_kept(tmp_path: Path) -> None:
    spotted(tmp_path, 1)
    names = ("oreille gauche, pointe", "鼻", 'le "bout"')
    labelling(tmp_path, *names).put(0, {"marks": [[1, 2], [3, 4], [5, 6]], "revision": 0})
    assert labelling(tmp_path, *names).table.marks("img00.png") == ((1, 2), (3, 4), (5, 6))


def test_a_large_folder_is_paged_and_no_image_of_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spotted(tmp_path, 1)
    session = labelling(tmp_path)
    session.folder.names = ["img00.png", *(f"{i:06}.png" for i in range(100_000))]
    session.folder.path = session.folder.size = None  # type: ignore[assignment,method-assign]
    page = session.listed(70_012)
    assert (
        page["start"] == 70_000 and len(page["images"]) == sessions.PAGE and page["images"][0]["name"] == "069999.png"
    )
    assert session.listed(10**9)["images"][-1]["index"] == 100_000
    assert session.farthest(0) == 0
    monkeypatch.setattr(session, "_state", lambda i: "done" if i in (0, 100_000) else "none")
    assert session.farthest(0) == 50_000


def test_photos_are_shown_as_they_are_read(tmp_path: Path) -> None:
    """Turned as their EXIF orientation says, and in a format that browsers know."""
    image = Image.new("RGB", (40, 20), (200, 10, 10))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.save(tmp_path / "scan.tif")
    (tmp_path / "text.png").write_text("<script>alert(1)</script>")
    folder = ImageFolder(tmp_path)
    assert folder.names == ["scan.tif", "text.png", "turned.jpg"]
    assert folder.size(2) == (20, 40)
    for index, size in ((0, (40, 20)), (2, (20, 40))):
        kind, content = folder.shown(index)
        (tmp_path / ".shown").write_bytes(content)
        with Image.open(tmp_path / ".shown") as shown:
            assert (kind, shown.size, shown.getexif().get(0x0112, 1)) == ("image/jpeg", size, 1)
    with pytest.raises(DataError, match=r"text\.png"):
        folder.shown(1)


def test_what_stands_in_the_way_is_said_before_anything_is_served(capsys, tmp_path: Path) -> None:
    spotted(tmp_path / "mice", 1)
    mice = str(tmp_path / "mice")
    for options, message in {
        (str(tmp_path / "none"), "--landmarks", "a"): "there is no such folder",
        (str(tmp_path), "--landmarks", "a", "-o", "labels.xlsx"): "tables are written as .csv",
        (mice,): "which landmarks",
        (mice, "--landmarks", "a", "--run", str(tmp_path)): "there is no record",
    }.items():
        code, out, err = run_here(capsys, "label", *options)
        assert code in (2, 5) and out == "" and message in err
    (tmp_path / "empty").mkdir()
    assert "no image file" in run_here(capsys, "label", str(tmp_path / "empty"), "--landmarks", "a")[2]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = run_here(capsys, "label", mice, "--landmarks", "a", "--port", port)
        assert code == 2 and f"--port {port}" in err and "choose another port" in err
    with (
        locked(tmp_path / "mice" / "labels.csv"),
        pytest.raises(BusyError),
        locked(tmp_path / "mice" / "labels.csv", wait=False),
    ):
        pass
    assert sorted(p.name for p in (tmp_path / "mice").iterdir()) == ["img00.png"]  # no lock, no table is left behind


def test_the_command_prints_its_address_and_ends_by_saying_what_comes_next(tmp_path: Path) -> None:
    spotted(tmp_path / "mice", 2)
    command = [sys.executable, "-m", "lmbench", "label", str(tmp_path / "mice"), "--landmarks", "nose,tail"]
    at_work = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert at_work.stdout is not None
    address = at_work.stdout.readline().strip()
    host, port, token = re.fullmatch(r"http://(127\.0\.0\.1):(\d+)/([\w-]{32,})/", address).groups()  # type: ignore[union-attr]
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    headers = {"Origin": address.rpartition(f"/{token}")[0], "Content-Type": "application/json"}
    connection.request("POST", f"/{token}/marks/1", json.dumps({"marks": [[1, 2], "hidden"], "revision": 0}), headers)
    assert connection.getresponse().status == 200
    connection.close()
    at_work.send_signal(signal.SIGINT)
    out, err = at_work.communicate(timeout=60)
    assert (at_work.returncode, out) == (0, "")
    assert "2 images; 0 labelled" in err and "labels.csv: 1 labelled" in err
    assert f"lmbench fit RUN --labels {tmp_path / 'mice' / 'labels.csv'} -o mice_detector" in err
    assert sorted(p.name for p in (tmp_path / "mice").iterdir()) == ["img00.png", "img01.png", "labels.csv"]
