"""A chapter's cells in IPython's shell, in this process: outputs as a kernel's, without its start.

A process runs one chapter. That it gives what Jupyter gives is held by ``make test``, in which
nbval runs every chapter in a real kernel and compares it with the same stored outputs.
"""

import io
import json
import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.jsonutil import json_default
from nbformat import NotebookNode
from traitlets import Type
from traitlets.config import Config

from book import sentences
from book.sentences import SentenceError, Sentences

CELL_SECONDS = 120


class Ran(NamedTuple):
    """What a cell showed, the exception that ended it, and the numbers of sentences."""

    outputs: list[NotebookNode]
    error: BaseException | None
    numbers: dict[str, str]
    """What sentences say that can be said after this cell, as ``book.sentences`` names them."""


class _Stream(io.TextIOBase):
    """Standard output or error of a cell."""

    def __init__(self, name: str, outputs: list[NotebookNode]) -> None:
        self.name = name
        self.outputs = outputs

    def write(self, text: str) -> int:
        last = self.outputs[-1] if self.outputs else None
        if last is not None and last.get("name") == self.name:
            last.text += text
        else:
            self.outputs.append(nbformat.v4.new_output("stream", name=self.name, text=text))
        return len(text)


class _Publisher(DisplayPublisher):
    """Takes what ``display`` shows."""

    shell: Any

    def publish(self, data: Any, metadata: Any = None, source: Any = None, **_: Any) -> None:
        self.shell.shown.append(as_sent("display_data", data=data, metadata=metadata or {}))


class _Hook(DisplayHook):
    """Takes the value of a cell's last line."""

    shell: Any

    def __call__(self, result: Any = None) -> None:
        own: Any = super()  # IPython's methods have no types
        if result is not None and not own.quiet():
            data, metadata = own.compute_format_data(result)
            own.update_user_ns(result)
            more = {"metadata": metadata, "execution_count": self.shell.cell_number}
            self.shell.shown.append(as_sent("execute_result", data=data, **more))


class _Shell(InteractiveShell):
    shown: Any
    cell_number: Any
    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)

    def showtraceback(self, *_: Any, **__: Any) -> None:
        """Nothing is printed: who runs the cell gets the exception."""

    def showsyntaxerror(self, *_: Any, **__: Any) -> None:
        """As above."""

    def enable_gui(self, gui: Any = None) -> None:
        """There is no window."""


def as_sent(kind: str, **fields: Any) -> NotebookNode:
    """An output as a kernel sends it: what JSON keeps of it, pictures in base64."""
    output: NotebookNode = nbformat.v4.new_output(
        kind, **json.loads(json.dumps(fields, default=json_default))
    )
    return output


class Session:
    """A fresh shell, in whose name space cells run one after another.

    Args:
        notebook: the chapter whose code cells are to run, for the numbers in its sentences.
    """

    def __init__(self, notebook: NotebookNode) -> None:
        import matplotlib_inline.backend_inline as inline

        module = types.ModuleType("__main__")
        quiet = Config(
            {"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}}
        )
        self.shell: Any = _Shell.instance(config=quiet, user_module=module)
        self.shell.shown = []
        self.shell.cell_number = 0
        self.sentences = Sentences(notebook)
        inline.configure_inline_support(self.shell, "inline")

    def run(self, code: str) -> Ran:
        """Run a cell to its end, to its first error, or for ``CELL_SECONDS``."""
        outputs: list[NotebookNode] = []
        self.shell.shown = outputs
        self.shell.cell_number += 1
        with (
            redirect_stdout(_Stream("stdout", outputs)),
            redirect_stderr(_Stream("stderr", outputs)),
            _limited(),
        ):
            result = self.shell.run_cell(code, store_history=True)
            if error := result.error_before_exec or result.error_in_exec:
                return Ran(outputs, error, {})
            return self._said(outputs)

    def _said(self, outputs: list[NotebookNode]) -> Ran:
        """Ask for the numbers of sentences after a cell that has run."""
        number = self.shell.cell_number - 1
        answers = self.shell.user_expressions(self.sentences.asked(number))
        try:
            return Ran(outputs, None, self.sentences.heard(number, answers))
        except SentenceError as error:
            return Ran(outputs, error, {})


@contextmanager
def _limited() -> Iterator[None]:
    """Raise TimeoutError where a cell takes too long; systems without that signal wait."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"the cell took more than {CELL_SECONDS} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, CELL_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ---- notebooks ---------------------------------------------------------------------------------
def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that run, as nbval counts them: from 0."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def finished(notebook: NotebookNode, ran: list[Ran]) -> NotebookNode:
    """The notebook with these outputs and numbers, as it is stored."""
    for number, (cell, each) in enumerate(zip(code_cells(notebook), ran, strict=True), start=1):
        cell.execution_count, cell.outputs = number, each.outputs
    numbers = [each.numbers for each in ran]
    sentences.fill(notebook, {name: text for each in numbers for name, text in each.items()})
    return notebook


def read(path: Path) -> NotebookNode:
    """A notebook, in the format of today."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook
