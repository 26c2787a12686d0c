"""Images and labels from gzipped IDX files, the format of MNIST and Fashion-MNIST."""

import gzip
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PUBLISHED = "https://github.com/zalandoresearch/fashion-mnist"


class Split(NamedTuple):
    """Examples: grey levels 0 to 1, shape (n, 784), and labels 0 to 9, shape (n,)."""

    X: NDArray[np.float64]
    y: NDArray[np.uint8]


class Splits(NamedTuple):
    """What is for training, and what for tests."""

    train: Split
    test: Split


def read_idx(path: Path, dims: int) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of bytes.

    Args:
        path: of the file.
        dims: axes that its array must have, ≥ 1.

    Returns:
        The array.

    Raises:
        ValueError: if the file is missing or malformed.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "is missing" if missing else f"cannot be unpacked ({error})"
        where = f"the data set (MIT licence) is published at {PUBLISHED}"
        raise ValueError(f"{path} {what}; {where}") from error
    start = 4 + 4 * dims
    magic = bytes([0, 0, 8, dims])
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if content[:4] != magic or start + math.prod(shape) != len(content):
        begin = f"{len(content)} bytes that begin with {content[:4].hex()}"
        found = f"{begin}, for an array of shape {shape}"
        need = f"need {magic.hex()} and {dims} axes"
        raise ValueError(f"{path}: {found}; {need}. Get it anew from {PUBLISHED}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def load(folder: Path, examples: int | None = None) -> Splits:
    """Training and test examples.

    Args:
        folder: holds the four files of Fashion-MNIST, or of a data set in its format.
        examples: so many of the first are taken for training, and for tests; None means all.

    Returns:
        Both splits.

    Raises:
        ValueError: if a file is missing or malformed, or images and labels do not fit together.
    """
    return Splits(
        train=_split(folder, "train", examples),
        test=_split(folder, "t10k", examples),
    )


def _split(folder: Path, name: str, examples: int | None) -> Split:
    X = read_idx(folder / f"{name}-images-idx3-ubyte.gz", 3)
    y = read_idx(folder / f"{name}-labels-idx1-ubyte.gz", 1)
    if X.shape != (len(y), 28, 28) or not len(y) or y.max() > 9:
        labels = f"{len(y)} labels run to {y.max(initial=0)}"
        found = f"{folder}: {name} images have shape {X.shape}, and {labels}"
        need = "need (n, 28, 28) and n labels 0 to 9"
        raise ValueError(f"{found}; {need}. Get all files anew from {PUBLISHED}")
    return Split(X[:examples].reshape(-1, 784) / 255, y[:examples])
