"""A headless Chromium for the tests that look at pages as a reader sees them."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say once, in one line, why tests were skipped."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, times in reasons.items():
        terminalreporter.write_line(f"{times} tests skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; tests skip where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="run `make browser`, which installs Playwright"
    )
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found and not shutil.which(found):
        pytest.fail(f"CHROMIUM is {found!r}: no program is there; set it to the path of one")
    if not found:
        pytest.skip(
            "Chromium is missing: run `apt-get install chromium` (Debian, Ubuntu) or `brew install chromium` (macOS), "
            "or set CHROMIUM to the path of one"
        )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=ARGS)
        yield browser
        browser.close()
