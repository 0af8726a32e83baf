"""The labelling page as somebody uses it, in a headless Chromium: by mouse, by finger, by key, in two windows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import DESKTOP, PHONE, Browser
from labelling_page import LabelPage, colours_network, served
from marked_images import spots, spotted
from selenium.webdriver.common.keys import Keys

from lmbench.labelling.images import ImageFolder
from lmbench.labelling.proposals import Proposer
from lmbench.labelling.server import LabelServer
from lmbench.labelling.session import Session
from lmbench.labelling.table import HIDDEN, LabelTable

NAMES = ("head", "tail", "paw")


def session_of(folder: Path, proposer: bool = False) -> Session:
    images = ImageFolder(folder)
    return Session(
        images, LabelTable(folder / "labels.csv", NAMES), Proposer(images, colours_network) if proposer else None
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabelServer]:
    spotted(tmp_path, 6)
    with served(session_of(tmp_path)) as found:
        yield found


def near(found: object, wanted: tuple[float, float], within: float) -> bool:
    return isinstance(found, tuple | list) and max(abs(found[0] - wanted[0]), abs(found[1] - wanted[1])) <= within


def test_points_are_clicked_corrected_and_kept_image_after_image(
    browser: Browser, server: LabelServer, tmp_path: Path
) -> None:
    page, table = LabelPage(browser, server.address), server.session.table
    pixel = browser.run(
        "return 1.6 / seen.scale"
    )  # a mouse stands on whole pixels of the screen, and so does its origin
    for x, y in ((10, 20), (60, 31)):
        page.click(x, y)
    page.press("i")
    page.kept()
    first = table.marks("img00.png")
    assert near(first[0], (10, 20), pixel) and near(first[1], (60, 31), pixel) and first[2] == HIDDEN
    assert "All said of this image" in page.text("#said") and "1 labelled" in page.text("#progress")
    page.click(*first[0])  # on a mark: it is chosen
    page.press(Keys.ARROW_LEFT)
    page.hold(Keys.SHIFT, Keys.ARROW_DOWN)
    page.kept()
    assert table.marks("img00.png")[0] == pytest.approx((first[0][0] - 1, first[0][1] + 10))
    page.drag(first[1], (40, 12))
    page.kept()
    assert near(table.marks("img00.png")[1], (40, 12), 3 * pixel)
    page.press("n")
    page.go(1)
    page.press("c")  # as on the last image
    page.kept()
    assert table.marks("img01.png") == table.marks("img00.png")
    page.press("2", Keys.DELETE)
    page.kept()
    assert table.marks("img01.png")[1] is None and server.session.progress() == {"labelled": 1, "begun": 1}
    with served(session_of(tmp_path)) as later:  # another day: it goes on with what is not labelled yet
        again = LabelPage(browser, later.address)
        again.go(1)
        assert again.marks[2] == HIDDEN and again.text("#name") == "img01.png" and "head" not in again.text("#said")


def test_undo_and_redo_go_back_over_images(browser: Browser, server: LabelServer) -> None:
    page, table = LabelPage(browser, server.address), server.session.table
    page.click(10, 20)
    page.press("n")
    page.go(1)
    page.click(30, 30)
    page.click(50, 40)
    page.kept()
    before = table.marks("img01.png")
    page.press("u")
    page.kept()
    assert table.marks("img01.png") == (before[0], None, None)
    page.hold(Keys.CONTROL, "zz")
    page.go(0)
    page.kept()
    assert list(table) == []
    browser.all("#redo")[0].click()
    page.kept()
    assert near(table.marks("img00.png")[0], (10, 20), 0.1)
    page.press("rr")
    page.go(1)
    page.wait("state.marks[1]")
    page.kept()
    assert table.marks("img01.png") == before and not browser.all("#redo")[0].is_enabled()


def test_all_of_it_goes_by_the_keyboard(browser: Browser, server: LabelServer) -> None:
    page, table = LabelPage(browser, server.address), server.session.table
    assert browser.focused() == "view"
    page.press(
        Keys.ENTER, Keys.ARROW_RIGHT
    )  # in the middle of what is seen, and on to the next one, where nothing is to be moved
    page.press("1", Keys.ARROW_RIGHT, Keys.ARROW_UP, " ", "x", "i", Keys.ENTER)
    page.kept()
    assert table.marks("img00.png") == (pytest.approx((40.5, 28.5)), HIDDEN, pytest.approx((39.5, 29.5)))
    page.press("+", "+", "z")
    assert browser.run("return seen.scale / fitting()") == pytest.approx(4, abs=0.01)
    browser.size(1000, 700)
    page.wait("view.clientWidth < 800")
    assert browser.run("return seen.scale / fitting()") > 4  # a window that changes leaves what is looked at
    page.press(Keys.PAGE_DOWN)
    page.go(1)
    page.press("p")
    page.go(0)
    page.press("g")
    page.go(5)  # as far from the first as can be
    page.press("?")
    assert browser.run("return document.getElementById('help').open")
    for _ in range(30):
        page.press(Keys.TAB)
        if browser.focused().startswith("tail"):
            break
    page.press(Keys.ENTER)
    assert browser.run("return state.chosen") == 1 and browser.focused().startswith("tail")


def test_the_wheel_zooms_to_the_pointer_and_the_image_can_be_dragged(browser: Browser, server: LabelServer) -> None:
    page = LabelPage(browser, server.address)
    u, v = page.place(20, 15)
    origin = browser.all("#view")[0]
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    page.chain().scroll_from_origin(ScrollOrigin.from_element(origin, round(u), round(v)), 0, -900).perform()
    page.wait("seen.scale > 3 * fitting()")
    assert page.place(20, 15) == pytest.approx((u, v), abs=4)  # what is under the pointer stays there
    page.drag((20, 15), (24, 18))
    assert page.place(20, 15) != pytest.approx((u, v), abs=4) and page.marks == [None, None, None]
    page.click(21, 16)
    page.kept()
    assert near(server.session.table.marks("img00.png")[0], (21, 16), 0.05)
    page.press("0")
    assert browser.run("return seen.scale / fitting()") == pytest.approx(1)


def test_two_windows_at_once_are_told_and_neither_writes_over_the_other(browser: Browser, server: LabelServer) -> None:
    page, table = LabelPage(browser, server.address), server.session.table
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    try:
        browser.size(*DESKTOP)
        other = LabelPage(browser, server.address)
        other.wait("!$('notice').hidden")
        assert "open in another window" in other.text("#notice")
        other.click(70, 50)
        other.kept()
        theirs = table.marks("img00.png")
        browser.driver.switch_to.window(first)
        browser.run(
            "revisions.set(0, 0); pending.clear(); state.marks = [null, null, null]"
        )  # as if it had not looked since
        page.click(10, 20)
        page.wait("halted")
        assert "another window wrote" in page.text("#notice") and "not saved" in page.text("#saved")
        assert table.marks("img00.png") == theirs
        browser.all("#ways button")[1].click()  # theirs
        page.wait("!halted && state.marks[0]")
        assert page.marks[0] == [*theirs[0]]
        browser.run("revisions.set(0, 0)")
        page.press("2")
        page.click(10, 20)
        page.wait("halted")
        browser.all("#ways button")[0].click()  # mine
        page.kept()
        assert table.marks("img00.png")[0] == theirs[0] and near(table.marks("img00.png")[1], (10, 20), 0.1)
    finally:
        for handle in browser.driver.window_handles:
            if handle != first:
                browser.driver.switch_to.window(handle)
                browser.driver.close()
        browser.driver.switch_to.window(first)
    assert all("409" in said for said in browser.complaints())


def test_a_server_that_is_gone_is_told_and_nothing_is_lost_once_it_answers(browser: Browser, tmp_path: Path) -> None:
    spotted(tmp_path, 2)
    session = session_of(tmp_path)
    with served(session) as server:
        page = LabelPage(browser, server.address)
        put, session.put = session.put, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        page.click(10, 20)
        page.wait("halted")
        assert "No space left on device" in page.text("#notice") and near(page.marks[0], (10, 20), 0.1)
        session.put = put
        browser.all("#ways button")[0].click()
        page.kept()
        assert near(session.table.marks("img00.png")[0], (10, 20), 0.1)
    assert all("507" in said or "ERR_CONNECTION" in said for said in browser.complaints())


def test_landmarks_are_proposed_from_the_third_image_on_and_move_no_click(browser: Browser, tmp_path: Path) -> None:
    spotted(tmp_path, 14)
    session, points = session_of(tmp_path, proposer=True), spots(14)
    for i in range(12):
        session.put(i, {"marks": [points[i][0].tolist(), points[i][1].tolist(), HIDDEN], "revision": 0})
    proposer = session.proposer
    assert proposer is not None
    end = time.monotonic() + 60
    while proposer.status()["of"] < 12 and time.monotonic() < end:
        time.sleep(0.05)
    with served(session) as server:
        page = LabelPage(browser, server.address)
        page.go(12)
        page.wait("state.proposed")
        page.wait("$('proposals').textContent.includes('12 images')")
        assert (
            "by the features" in page.text("#proposals") and len(browser.all("#marks .proposed")) == 2
        )  # no paw was ever seen
        page.click(5, 5)
        page.kept()
        clicked = session.table.marks("img12.png")
        assert near(clicked[0], (5, 5), 0.1) and clicked[1:] == (None, None)  # a proposal alone is not kept
        page.press("a")
        page.kept()
        accepted = session.table.marks("img12.png")
        assert (
            accepted[0] == clicked[0]
            and near(accepted[1], tuple(points[12][1]), 8)
            and browser.all("#marks .proposed") == []
        )


def test_a_finger_serves_on_a_phone(browser: Browser, server: LabelServer) -> None:
    browser.size(*PHONE)
    page = LabelPage(browser, server.address)
    assert browser.run("return document.documentElement.scrollWidth") == PHONE[0]
    heights = (
        "return [...document.querySelectorAll('button')].map(b => b.getBoundingClientRect().height).filter(h => h)"
    )
    assert min(browser.run(heights)) >= 40

    def touch(kind: str, *points: tuple[float, float]) -> None:
        left, top = browser.run("const b = view.getBoundingClientRect(); return [b.left, b.top]")
        at = [{"x": left + x, "y": top + y, "id": i} for i, (x, y) in enumerate(points)]
        browser._command("Input.dispatchTouchEvent", type=kind, touchPoints=at)

    u, v = browser.run("return at([20, 30])")
    touch("touchStart", (u, v))
    touch("touchEnd")
    page.kept()
    assert near(server.session.table.marks("img00.png")[0], (20, 30), 0.3)
    touch("touchStart", (100, 100), (200, 200))
    touch("touchMove", (50, 50), (250, 250))
    touch("touchEnd")
    page.wait("seen.scale > 1.8 * fitting()")
    browser.all("#next")[0].click()
    page.go(1)
    browser.run("document.getElementById('list').open = true")
    page.wait("document.querySelectorAll('#images button').length === 6")
    assert browser.texts("#images li")[0].startswith("◐") and page.marks == [None, None, None]


def test_names_of_others_are_shown_as_text_and_what_is_no_image_is_told(browser: Browser, tmp_path: Path) -> None:
    spotted(tmp_path, 1)
    evil = "a<img src=x onerror=alert(1)>&'\".png"
    (tmp_path / "img00.png").rename(tmp_path / evil)
    (tmp_path / "b.png").write_text("no image")
    images = ImageFolder(tmp_path)
    session = Session(images, LabelTable(tmp_path / "labels.csv", ("<script>alert(1)</script>", "b&b")))
    with served(session) as server:
        page = LabelPage(browser, server.address)
        assert page.text("#name") == evil and browser.texts(".called") == ["<script>alert(1)</script>", "b&b"]
        page.press("n")
        page.go(1)
        assert "b.png" in page.text("#problem") and browser.all("#photo")[0].is_displayed() is False
        page.click(5, 5)
        page.press("i", "a", "c")
        assert page.marks == [None, None] and list(session.table) == []
    assert all("422" in said for said in browser.complaints())
