"""Images and labels from gzipped IDX files, the format of MNIST and Fashion-MNIST."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PUBLISHED = "https://github.com/zalandoresearch/fashion-mnist"
Split = tuple[NDArray[np.float64], NDArray[np.uint8]]


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
        words = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be unpacked ({error})"
        raise ValueError(f"{path} {words}; the data set (MIT licence) is published at {PUBLISHED}") from error
    start, magic = 4 + 4 * dims, bytes([0, 0, 8, dims])
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if content[:4] != magic or start + math.prod(shape) != len(content):
        found = f"{len(content)} bytes that begin with {content[:4].hex()}, for an array of shape {shape}"
        raise ValueError(f"{path}: {found}; need {magic.hex()} and {dims} axes. Get it anew from {PUBLISHED}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def load(folder: Path, examples: int | None = None) -> tuple[Split, Split]:
    """Training and test examples: grey levels 0 to 1, shape (n, 784), and labels 0 to 9, shape (n,).

    Args:
        folder: holds the four files of Fashion-MNIST, or of a data set in its format.
        examples: so many of the first are taken for training, and for tests; None means all.

    Returns:
        Inputs and labels for training; the same for tests.

    Raises:
        ValueError: if a file is missing or malformed, or images and labels do not fit together.
    """
    splits = []
    for name in ("train", "t10k"):
        X = read_idx(folder / f"{name}-images-idx3-ubyte.gz", 3)
        y = read_idx(folder / f"{name}-labels-idx1-ubyte.gz", 1)
        if X.shape != (len(y), 28, 28) or not len(y) or y.max() > 9:
            found = f"{folder}: {name} images have shape {X.shape}, and {len(y)} labels run to {y.max(initial=0)}"
            raise ValueError(f"{found}; need (n, 28, 28) and n labels 0 to 9. Get all files anew from {PUBLISHED}")
        splits.append((X[:examples].reshape(-1, 784) / 255, y[:examples]))
    return splits[0], splits[1]
