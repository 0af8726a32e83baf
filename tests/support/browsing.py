"""A headless Chromium for tests of pages: it opens files, and says what it complained of."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
DESKTOP, PHONE = (1280, 900), (375, 740)


class Browser:
    """A window on a page. ``run``: the result of a script."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.size(*DESKTOP)

    def size(self, width: int, height: int) -> None:
        """Makes the page's own width and height so many CSS pixels; windows themselves are never as narrow as a phone."""
        self._command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def scheme(self, name: str) -> None:
        """``light`` or ``dark``, as the reader's system would prefer it."""
        self._command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, page: Path, choice: str = "") -> None:
        """Opens a page, at a choice in its address; what was complained of before is forgotten."""
        self.driver.get("about:blank")  # another hash alone would load nothing
        self.complaints()
        self.driver.get(page.absolute().as_uri() + choice)

    def visit(self, address: str) -> None:
        """Opens a page of a server; what was complained of before is forgotten."""
        self.driver.get("about:blank")
        self.complaints()
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def texts(self, selector: str) -> list[str]:
        """What the elements show."""
        return [e.text for e in self.all(selector)]

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def press(self, *keys: str) -> None:
        """Presses keys, wherever the focus is."""
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def focused(self) -> str:
        """What the element with the focus is called."""
        return str(self.run("const e = document.activeElement; return e.id || e.textContent || e.tagName"))

    def complaints(self) -> list[str]:
        """What stands on the console since it was last asked for."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def picture(self, path: Path) -> None:
        """Writes the whole page as PNG."""
        import base64

        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return document.documentElement.clientWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 12_000), "scale": 1}
        found = self._command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def _command(self, name: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Any]:
    """One browser for all tests, with a profile of its own."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = os.environ.get("LMBENCH_CHROMIUM") or shutil.which("chromium")
    driver = os.environ.get("LMBENCH_CHROMEDRIVER") or shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("there is no chromium here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
        yield started
        started.quit()


@pytest.fixture
def browser(_chromium: Any) -> Iterator[Browser]:
    """A browser of a desktop's size. It complained of nothing by the time the test ends."""
    found = Browser(_chromium)
    found.scheme("light")
    yield found
    assert found.complaints() == []
