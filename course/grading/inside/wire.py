"""Messages over a socket: each its length in four bytes, then a value as `codec` writes it."""

import socket
import struct
from dataclasses import dataclass
from typing import Any

from course.grading.inside import codec


@dataclass(frozen=True)
class Bounds:
    """What a process inside may use, as it sets it for itself; sizes in bytes."""

    memory: int
    disk: int
    seconds: int
    """Of the processor."""
    processes: int
    uid: int
    """The user to become, where it is root."""


def send(wire: socket.socket, value: dict[str, Any]) -> None:
    """Send a message; one that may not cross is replaced by a word saying so."""
    try:
        data = codec.dumps(value)
    except Exception:  # the student's objects can raise anything
        data = codec.dumps({"unsendable": True})
    wire.sendall(struct.pack("!I", len(data)) + data)


def receive(wire: socket.socket) -> Any:
    """Wait for a message.

    Args:
        wire: a socket, or something with its method recv.

    Returns:
        The value, made of data.

    Raises:
        EOFError: if the other side is gone.
        ValueError: if the message is too large or malformed.
    """
    (length,) = struct.unpack("!I", take(wire, 4))
    if length > codec.LIMIT:
        raise ValueError(f"a message of {length} bytes is too large")
    return codec.loads(take(wire, length))


def take(wire: socket.socket, n: int) -> bytes:
    """Read exactly n bytes.

    Args:
        wire: a socket, or something with its method recv.
        n: how many.

    Returns:
        The bytes.

    Raises:
        EOFError: if the other side is gone before.
    """
    data = bytearray()
    while len(data) < n:
        part = wire.recv(min(n - len(data), 2**20))
        if not part:
            raise EOFError("the other side is gone")
        data += part
    return bytes(data)
