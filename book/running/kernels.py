"""Jupyter kernels that need not import the libraries: each is a copy of one process that has.

    python -m book.running.kernels SOCKET    serve until standard input ends

``jupyter_client`` asks a provisioner for a kernel's process, and ``Copied`` asks this server.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from book.running import forks

SECONDS = 120  # for the server to import the libraries


class Order(NamedTuple):
    """What a kernel is to be."""

    arguments: list[str]
    cwd: str
    env: dict[str, str]


class Server(NamedTuple):
    """A server's process, which ends when its standard input is closed; and its socket."""

    process: subprocess.Popen[bytes]
    socket: str


# ---- the server ------------------------------------------------------------------------------
def serve(path: str) -> None:
    """Copy this process for everyone who asks on the socket, until standard input ends."""
    forks.warm("ipykernel.kernelapp")
    signal.signal(signal.SIGCHLD, reap)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        while True:
            ready, _, _ = select.select([server.fileno(), 0], [], [])
            if 0 in ready:
                return
            connection, _ = server.accept()
            with connection as asked:
                order = Order(*json.loads(asked.makefile().readline()))
                pid = os.fork()
                if pid == 0:
                    server.close()
                    become_kernel(order, asked)
                asked.sendall(f"{pid}\n".encode())


def reap(*_arguments: object) -> None:
    """Take note of kernels that have ended, so that they leave nothing behind."""
    with contextlib.suppress(ChildProcessError):
        ended = -1
        while ended != 0:
            ended, _ = os.waitpid(-1, os.WNOHANG)


def become_kernel(order: Order, asked: socket.socket) -> None:
    """In the copy: be the kernel that was ordered, to its end."""
    try:
        asked.close()
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(order.cwd)
        os.environ.clear()
        os.environ.update(
            order.env, JPY_PARENT_PID=str(os.getppid())
        )  # a kernel ends with its parent
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        from ipykernel.kernelapp import IPKernelApp

        sys.argv[1:] = order.arguments
        app: Any = IPKernelApp.instance()
        app.initialize(order.arguments)
        app.start()
    finally:
        os._exit(0)


# ---- who asks it -----------------------------------------------------------------------------
class Process:
    """A kernel's process, as far as a provisioner wants to know it; its parent is the server."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """None while it runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def wait(self) -> int:
        """Wait for its end."""
        while self.poll() is None:
            time.sleep(0.01)
        return 0

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)


class Copied(LocalProvisioner):
    """Has a kernel's process copied by the server on ``socket``."""

    def __init__(self, socket: str, **options: Any) -> None:
        super().__init__(**options)
        self.socket = socket

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Order a kernel with these arguments; gives what its clients need to reach it."""
        arguments = cmd[cmd.index("-f") :]
        order = Order(arguments, options.get("cwd") or os.getcwd(), options["env"])
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self.socket)
            server.sendall((json.dumps(order) + "\n").encode())
            self.pid = self.pgid = int(server.makefile().readline())
        self.process: Any = Process(self.pid)
        return self.connection_info


def start_server(folder: Path) -> Server:
    """Start a server.

    Args:
        folder: for the socket; its path must be short.

    Returns:
        The server; its socket is there when it listens.

    Raises:
        RuntimeError: if it does not listen after ``SECONDS``.
    """
    path = str(folder / "kernels")
    command = [sys.executable, "-m", "book.running.kernels", path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    until = time.monotonic() + SECONDS
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise RuntimeError("the server of kernels did not start")
        time.sleep(0.02)
    return Server(process, path)


if __name__ == "__main__":
    serve(sys.argv[1])
