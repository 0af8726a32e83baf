"""The leaderboard's page as somebody uses it, in a headless Chromium."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest
from browsing import PHONE, Browser
from made_boards import HOSTILE, Made, printed

from lmbench.pages.board import board_page
from lmbench.results.leaderboard import ranked_records


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of nine measured rows and three published ones, and one with 250 published rows."""
    made = Made()
    made.add("alpha", 10.0)
    made.add("alpha", 20.0, variant="v, untrained", supervision="untrained")
    made.add("beta", 15.0)
    made.add("gamma", 15.1, preset="quick", seeds=(0,))
    made.add("delta", 16.0, settings={"head": "lmbench:ridge 0.4.0"})
    made.add("taught", 8.0, supervision="supervised")
    made.add("shape", 25.0, supervision="none", seeds=(0,))
    made.add(HOSTILE, 17.0)
    made.add("قياس", 18.0)
    published = [printed("alpha", "7.95"), printed("beta", "8.20"), printed("taught", "7.10", supervision="supervised")]
    many = [printed(f"method{i:03}", f"{i}.50", dataset="large") for i in range(250)]
    place = tmp_path_factory.mktemp("board") / "board.html"
    place.write_text(
        board_page(ranked_records(made.records, made.of), [*published, *many], "records"), encoding="utf-8"
    )
    return place


def names(browser: Browser) -> list[str]:
    """The first words of the rows that are shown."""
    found = browser.run("return [...document.querySelectorAll('#rows .open')].map(e => e.innerText)")
    return [name.strip().split(",")[0] for name in found]


def test_rows_stand_in_their_sections_with_what_the_board_tells_first(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.texts("#dataset option") == ["large (published only)", "mafl"]
    assert names(browser)[:2] == ["gamma", "alpha"]  # presets apart, the best first within a section
    groups = browser.texts("#rows .group th")
    assert any("learned without labels, head converged" in g for g in groups) and groups[-1].startswith("published")
    told = browser.texts("#told article p")
    assert len(told) == 2 and "pairs within a section are told apart" in told[1]
    assert browser.texts("#count") == ["12 of 12 rows."]
    marks = browser.run("return [...document.querySelectorAll('#rows tr.apart .open')].map(e => e.textContent)")
    assert "alpha, v" in marks  # ten spreads from the next


def test_a_click_on_a_column_sorts_by_it_and_another_turns_it_round(browser: Browser, page: Path) -> None:
    browser.open(page)
    heads = {e.text.split()[0]: e for e in browser.all("#rows thead .sort")}
    heads["Value"].click()
    values = [float(text.split()[0]) for text in browser.texts("#rows td:nth-child(3)")]
    assert len(values) == 12 and values == sorted(values)
    assert browser.all("#rows th[aria-sort=ascending]")[0].text.startswith("Value")
    assert "stand mixed" in browser.texts("#count")[0] and browser.all("#rows .group") == []
    heads["Value"].click()
    assert [float(t.split()[0]) for t in browser.texts("#rows td:nth-child(3)")] == values[::-1]
    heads["Less"].click()
    gains = browser.texts("#rows td:nth-child(7)")
    assert gains[0].startswith("-") and gains[-1] == ""  # what has no control comes last
    heads["Place"].click()
    assert browser.all("#rows .group") and names(browser)[0] == "gamma"


def test_text_and_filters_leave_the_rows_that_fit(browser: Browser, page: Path) -> None:
    browser.open(page, "#q=alpha")
    assert names(browser) == ["alpha", "alpha", "alpha"] and browser.texts("#count") == ["3 of 12 rows."]
    for choice, expected in {
        "#kind=published": ["taught", "alpha", "beta"],
        "#class=supervised": ["taught", "taught"],
        "#head=ridge": ["delta"],
        "#preset=quick": ["gamma"],
        "#class=floor": ["shape"],
        "#kind=measured&class=control": ["alpha"],
        "#q=alpha+untrained": ["alpha"],
        "#q=nothing+of+the+kind": [],
    }.items():
        browser.open(page, choice)
        assert names(browser) == expected, choice
    assert "clear the text or a filter" in browser.texts("#rows tbody")[0]


def test_the_address_holds_the_choice_and_going_back_takes_it_back(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("const e = document.getElementById('preset'); e.value = 'small'; e.dispatchEvent(new Event('change'))")
    assert parse_qs(browser.run("return location.hash.slice(1)")) == {"preset": ["small"]}
    assert "gamma" not in names(browser)
    linked = browser.run("return location.hash")
    browser.driver.back()
    browser.run("return new Promise(done => setTimeout(done, 50))")
    assert "gamma" in names(browser)
    browser.open(page, linked)
    assert "gamma" not in names(browser) and browser.run("return document.getElementById('preset').value") == "small"
    browser.open(page, "#dataset=nowhere&n=%00&sort=-evil&page=-7&class=<script>&q=" + "x" * 3000)
    assert browser.run("return document.getElementById('dataset').value") == "mafl"  # what is not there is passed over


def test_a_row_opens_to_its_records_its_control_and_its_settings(browser: Browser, page: Path) -> None:
    browser.open(page, "#q=alpha&kind=measured")
    browser.all("#rows .open")[0].click()
    shown = browser.texts("#rows .details")[0]
    assert "Less its control" in shown and ": better; the control has" in shown and "v, untrained" in shown
    links = [e.get_attribute("href") for e in browser.all("#rows .details a")]
    assert links == [(page.parent / "records" / f"r{i:03}.json").as_uri() for i in range(3)]
    browser.all("#rows .details summary")[0].click()
    assert "lmbench:converged" in browser.texts("#rows .details")[0]
    browser.all("#rows .open")[0].click()
    assert browser.all("#rows .details") == []


def test_all_of_it_goes_by_the_keyboard(browser: Browser, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page, "#n=all")
    browser.run("document.getElementById('q').focus()")
    browser.press("t", "a", "u")
    browser.run("return new Promise(done => setTimeout(done, 300))")
    assert names(browser) == ["taught", "taught"] and browser.focused() == "q"
    reached = []
    for _ in range(20):
        browser.press(Keys.TAB)
        reached.append(browser.focused())
        if reached[-1].startswith("taught"):
            break
    assert {"kind", "class", "head", "preset", "Value"} <= {*reached}
    browser.press(Keys.ENTER)
    opened = browser.all("#rows .open")[0]
    assert opened.get_attribute("aria-expanded") == "true" and browser.focused() == reached[-1]
    assert (
        browser.run("return document.getElementById(arguments[0].getAttribute('aria-controls')).className", opened)
        == "details"
    )
    browser.press(Keys.SPACE)
    assert opened.get_attribute("aria-expanded") == "false"


def test_names_of_others_are_shown_as_text(browser: Browser, page: Path) -> None:
    browser.open(page, "#q=script")
    (name,) = browser.texts("#rows .open bdi")
    assert name.startswith("<script>alert(1)</script>\"'&\\u202eevil\\x1b[2J") and len(name) > 250
    assert len(browser.all("script")) == 2
    assert browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    browser.open(page, "#q=قياس")
    assert browser.texts("#rows td:first-child") != [] and browser.all("#rows .open bdi")[0].text.startswith("قياس")


def test_a_phone_shows_all_without_scrolling_sideways(browser: Browser, page: Path) -> None:
    browser.size(*PHONE)
    browser.open(page)
    for button in browser.all("#rows .open")[:3]:
        button.click()
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.run("return document.documentElement.scrollWidth") == PHONE[0]
    beyond = "return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 376).length"
    assert browser.run(beyond) == 0
    assert browser.all("#order")[0].is_displayed()
    low = browser.run(
        "return Math.min(...[...document.querySelectorAll('#rows td')].map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert low >= 14


def test_of_many_rows_a_hundred_are_in_the_page_at_once(browser: Browser, page: Path) -> None:
    browser.open(page, "#dataset=large")
    assert len(names(browser)) == 100 and browser.texts("#count") == ["250 of 250 rows."]
    assert "published numbers alone" in browser.texts("#told")[0]
    heads = [e.text.split()[0] for e in browser.all("#rows thead .sort") if e.is_displayed()]
    assert heads == ["Place", "Method,", "Value", "95"]  # a column that says nothing is not shown
    browser.all("#pages button")[1].click()
    browser.all("#pages button")[1].click()
    assert names(browser) == [f"method{i}" for i in range(200, 250)]
    assert not browser.all("#pages button")[1].is_enabled()


def test_a_page_of_no_rows_says_so(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "board.html").write_text(board_page([], [], "records"), encoding="utf-8")
    browser.open(tmp_path / "board.html")
    assert "There is no row" in browser.texts("#told")[0]
