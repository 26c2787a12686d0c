"""One process for a stranger's code, from its start to its certain end."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import asdict
from typing import Any, NoReturn

from course.grading import processes
from course.grading.confine import Limits, command, environment
from course.grading.inside.wire import Bounds, receive, send

FIRST_UID, USERS = 64_000, 1_500  # the numbers that a container without root has end at 65535
_TICK = 0.2  # seconds


class Ended(BaseException):
    """The process inside is gone; the words say why. No ``except Exception`` swallows it."""


class Sandbox:
    """A process inside; messages go over a socket, each with a time limit."""

    def __init__(self, limits: Limits, number: int = 0, stderr: int = subprocess.DEVNULL) -> None:
        self.limits = limits
        self.scratch = tempfile.mkdtemp(prefix="grade-")
        uid = FIRST_UID + number
        user: dict[str, Any] = {}
        if os.getuid() == 0 and not limits.namespaces:
            os.chown(self.scratch, uid, uid)
            user = {"user": uid, "group": uid, "extra_groups": []}
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                command(limits),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd=self.scratch,
                env=environment(limits, self.scratch),
                start_new_session=True,
                **user,
            )
        count = limits.processes + (processes.threads() if os.getuid() else 0)
        self.until = 0.0
        self.looked = 0.0
        self.closed = False
        self.bounds = Bounds(limits.memory, limits.disk, int(limits.total) + 1, count, uid)

    def send(self, message: dict[str, Any], seconds: float) -> None:
        """Send a message; the process has so many seconds to take it and to answer.

        Args:
            message: data that may cross.
            seconds: from now.

        Raises:
            Ended: if it does not take it.
        """
        self.until = time.monotonic() + seconds
        self.socket.settimeout(max(seconds, 0.01))
        try:
            send(self.socket, message)
        except TimeoutError:
            self.end("it took too long")
        except OSError:
            self.end("the process had ended")

    def receive(self, seconds: float | None = None) -> dict[str, Any]:
        """Wait for a message, so many seconds from now, or those that ``send`` gave.

        Args:
            seconds: from now; None for what is left.

        Returns:
            The message, made of data.

        Raises:
            Ended: if none comes, or if it is not one.
        """
        if seconds is not None:
            self.until = time.monotonic() + seconds
        try:
            message = receive(self)  # type: ignore[arg-type]  # it reads through recv, below
        except (EOFError, OSError):
            cause = "something left Python, killed it or crashed it, or it ran out of memory"
            self.end(f"its process ended: {cause}")
        except ValueError:
            self.end("what came back was too large, or not data")
        if not isinstance(message, dict):
            self.end("what came back was not data")
        return dict(message)

    def recv(self, n: int) -> bytes:
        """Read up to n bytes, while time lasts and the memory of all inside stays in bounds."""
        while True:
            now = time.monotonic()
            if now >= self.until:
                self.end("it took too long")
            if now >= self.looked + _TICK:
                self.looked = now
                if processes.memory(processes.family(self.process.pid)) > 1.5 * self.limits.memory:
                    self.end("its processes used too much memory")
            self.socket.settimeout(min(_TICK, self.until - now))
            with contextlib.suppress(TimeoutError):
                return self.socket.recv(n)

    def end(self, why: str) -> NoReturn:
        """Close; raise ``Ended``, always.

        Args:
            why: in words for the student.

        Returns:
            Never.

        Raises:
            Ended: with these words.
        """
        self.close()
        raise Ended(why)

    def close(self) -> None:
        """End every process inside, and remove the scratch folder."""
        with processes.undisturbed():
            if not self.closed:
                self.closed = True
                self.socket.close()
                processes.end(self.process.pid)
                self.process.wait()
                shutil.rmtree(self.scratch, ignore_errors=True)


def trouble(limits: Limits) -> str:
    """Why the libraries cannot be used inside, in the words of what failed; empty if they can."""
    if limits.namespaces and shutil.which("bwrap") is None:
        return "it is not installed"
    try:
        box = Sandbox(limits, stderr=subprocess.PIPE)
    except OSError as error:
        return f"no process can be started: {error}"
    try:
        box.send(asdict(box.bounds) | {"cells": ["import l2lib.datasets, torch"]}, 60)
        while "ran" not in (message := box.receive(60)):
            pass
        if not message["ran"]:
            return ""
        ((_, kind, _),) = message["ran"]  # the error of the only cell
        return f"the libraries cannot be loaded inside: {kind}"
    except Ended as ended:
        said = box.process.stderr.read() if box.process.stderr else b""
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else str(ended)
    finally:
        box.close()
