"""Fetches a Chromium without root and prints where it is, for a shell: ``eval "$(python tests/support/fetch_chromium.py)"``.

Nothing is printed where none can be had, or where it does not start: the tests that need it then skip.
"""

import shlex
import subprocess
import sys

try:
    from selenium.webdriver.common.selenium_manager import SeleniumManager

    paths = SeleniumManager().binary_paths(["--browser", "chrome", "--avoid-stats", "--timeout", "60"])
    browser, driver = paths["browser_path"], paths["driver_path"]
    blank = [browser, "--headless", "--no-sandbox", "--dump-dom", "about:blank"]
    subprocess.run(blank, check=True, capture_output=True, timeout=60)  # libraries of the system may be missing
    print(f"export LMBENCH_CHROMIUM={shlex.quote(browser)} LMBENCH_CHROMEDRIVER={shlex.quote(driver)}")
except Exception as error:
    print(f"no Chromium: {str(error).splitlines()[:1]}", file=sys.stderr)
