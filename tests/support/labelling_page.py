"""The labelling page as a person uses it: what is clicked, pressed and waited for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import torch
from browsing import Browser

from lmbench.features import Extractor
from lmbench.fitting.framing import framer_of
from lmbench.labelling.server import LabelServer
from lmbench.labelling.session import Session
from lmbench.pages.label import label_page

PATIENCE = 20.0  # seconds; the machine may have much else to do


def colours_network() -> tuple:
    """Colours as they are, in place of a network."""

    class Colours(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"colours": torch.nn.functional.avg_pool2d(images, 4)}

    made = Colours()
    made.channels = {"colours": 3}
    return Extractor.of(made, ("colours",), 24, "none"), framer_of("colours", 80), torch.device("cpu")


@contextlib.contextmanager
def served(session: Session) -> Iterator[LabelServer]:
    """A server of a session on a free port, while the block runs."""
    server = LabelServer(session, lambda: label_page(session.about()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class LabelPage:
    """A page that is open in a browser."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        browser.visit(address)
        self.wait("state.loaded || state.problem")

    def wait(self, condition: str) -> None:
        """Until a condition of the page's script holds."""
        end = time.monotonic() + PATIENCE
        while not self.browser.run(f"try {{ return Boolean({condition}) }} catch {{ return false }}"):
            assert time.monotonic() < end, f"{condition}: {self.browser.run('return JSON.stringify(state)')}"
            time.sleep(0.02)

    def kept(self) -> None:
        """Until the server has kept all that was done."""
        self.wait("!pending.size && !sending && $('saved').textContent === 'saved'")

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A point of the image in CSS pixels from the middle of the view, from which WebDriver counts."""
        u, v, width, height = self.browser.run(f"return [...at([{x}, {y}]), view.clientWidth, view.clientHeight]")
        return u - width / 2, v - height / 2

    def chain(self) -> Any:
        from selenium.webdriver import ActionChains

        return ActionChains(self.browser.driver, duration=0)

    def click(self, x: float, y: float) -> None:
        """Clicks a point of the image with the mouse: whole CSS pixels, as a mouse does."""
        u, v = self.place(x, y)
        self.chain().move_to_element_with_offset(self.browser.all("#view")[0], round(u), round(v)).click().perform()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        u, v = self.place(*start)
        a, b = self.place(*end)
        chain = (
            self.chain().move_to_element_with_offset(self.browser.all("#view")[0], round(u), round(v)).click_and_hold()
        )
        chain.move_by_offset(round((a - u) / 2), round((b - v) / 2)).move_by_offset(
            round((a - u) / 2), round((b - v) / 2)
        )
        chain.release().perform()

    def press(self, *keys: str) -> None:
        self.chain().send_keys(*keys).perform()

    def hold(self, modifier: str, *keys: str) -> None:
        """Presses keys while a modifier is held."""
        self.chain().key_down(modifier).send_keys(*keys).key_up(modifier).perform()

    def go(self, index: int) -> None:
        """Waits until an image is shown."""
        self.wait(f"state.index === {index} && (state.loaded || state.problem)")

    @property
    def marks(self) -> list[Any]:
        return list(self.browser.run("return state.marks"))

    def text(self, selector: str) -> str:
        return self.browser.texts(selector)[0]
