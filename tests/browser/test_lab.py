"""A chapter in JupyterLab: what is stored is seen, and Run All runs all."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.xdist_group("lab")  # one server for all

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = Path(os.environ.get("L2_NOTEBOOKS", ROOT / "notebooks"))
if not [*NOTEBOOKS.glob("*.ipynb")]:
    raise ValueError(f"L2_NOTEBOOKS is {str(NOTEBOOKS)!r}: no notebook is there")
SETTINGS = {
    "notebook-extension/tracker": {
        "windowingMode": "none"
    },  # every cell is in the page, also those out of sight
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
# Code cells that have not been run; one whose code is folded shows neither code nor number.
PENDING = """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")]
    .filter(cell => cell.querySelector(".cm-content")?.textContent.trim())
    .filter(cell => !/^\\[\\d+\\]:$/.test(cell.querySelector(".jp-InputPrompt").textContent.trim())).length"""

DIALS = """from l2lib import figures

def draw(lr):
    fig, ax = figures.subplots()
    ax.set(title="A dial", xlabel="step", ylabel="loss")
    return fig, f"An empty picture, drawn for a learning rate of {lr:g}, to see whether it is drawn again."

figures.interactive(draw, lr=[0.2, 0.1, 0.3])"""


def chapter() -> Path:
    """The smallest stored chapter with a claim and a picture."""
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"), key=lambda path: path.stat().st_size):
        text = path.read_text(encoding="utf-8")
        if "l2-claim" in text and "l2-alt" in text:
            return path
    pytest.skip(f"no chapter with a claim and a picture in {NOTEBOOKS}: run `make notebooks`")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """JupyterLab on a scratch copy of a chapter: its address, and the chapter's file name."""
    home = tmp_path_factory.mktemp("lab")
    source = chapter()
    (home / "work").mkdir()
    shutil.copy(source, home / "work")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    dials = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(DIALS)], metadata=kernel)
    nbformat.write(dials, home / "work" / "dials.ipynb")
    for name, values in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.token=t", f"--ServerApp.root_dir={home / 'work'}"]
    scratch = {
        "HOME": str(home),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "IPYTHONDIR": str(home / "ipython"),
        "L2LIB_WIDGETS": "1",  # as `make lab` sets it
    }
    log = (home / "log").open("w")
    process = subprocess.Popen(command, env=os.environ | scratch, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api/status?token=t", timeout=5)
                break
            except OSError:
                assert process.poll() is None, (home / "log").read_text()
                time.sleep(0.25)
        yield address, source.name
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture
def lab(chromium, server) -> Iterator[Callable[[str], Any]]:
    """Opens a notebook and hands its page over once the kernel listens, as a cell run earlier may be lost."""
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(60_000)

    def opened(name: str) -> Any:
        page.goto(f"{server[0]}/lab/tree/{name}?token=t&reset")
        page.get_by_text("| Idle").wait_for()
        return page

    yield opened
    page.close()


def picture(page: Any, name: str) -> None:
    """Keep a screenshot where $L2_SHOTS says, if it does."""
    if folder := os.environ.get("L2_SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def choose(page: Any, menu: str, item: str) -> None:
    """Choose an item of JupyterLab's menus."""
    page.get_by_role("menubar").get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def test_a_chapter_in_jupyterlab(lab, server):
    page = lab(server[1])
    claim = page.locator("details.l2-claim").first
    claim.scroll_into_view_if_needed()
    assert claim.is_visible()
    assert "✓" in claim.inner_text()
    words = page.locator("details.l2-alt > summary").first
    assert words.is_visible()
    assert re.fullmatch(r"Figure \d+\.\d+\. \w.+\.", words.inner_text())
    picture(page, "lab")

    # Clear the stored numbers first, so that the numbers seen at the end are this run's. The kernel is new: nothing is
    # restarted, as JupyterLab at times loses cells that it sends to a kernel just restarted.
    choose(page, "Edit", "Clear Outputs of All Cells")
    page.wait_for_function(f"({PENDING})() > 0")
    assert page.locator("details.l2-claim").count() == 0
    choose(page, "Run", "Run All Cells")
    page.wait_for_function(f"({PENDING})() === 0", timeout=120_000)
    assert (
        page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count()
        == 0
    )
    assert page.locator("details.l2-claim").count() > 0


def test_a_dial_in_jupyterlab(lab):
    page = lab("dials.ipynb")
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    words = page.locator("details.l2-alt")
    words.get_by_text("learning rate of 0.2").wait_for(state="attached")
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    words.get_by_text("learning rate of 0.3").wait_for(state="attached")
    assert words.count() == 1
    picture(page, "dial")
