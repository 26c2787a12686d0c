"""Values as bytes and back, between processes that do not trust each other: data of bounded size.

What crosses: None, bool, int, float, complex, str, bytes, lists, tuples, dicts with str keys, NumPy
arrays and scalars of numbers or booleans, torch tensors of the same.
"""

import base64
import json
import math
import sys
from typing import Any

import numpy as np

LIMIT = 2**23
"""Bytes of one message, at most."""
_DEPTH = 50
_TYPES = {
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
}


def dumps(value: Any) -> bytes:
    """Encode a value.

    Args:
        value: made of what may cross.

    Returns:
        JSON, in UTF-8.

    Raises:
        TypeError: if something in it may not cross.
        ValueError: if it is larger than ``LIMIT`` or nested too deep.
    """
    data = json.dumps(_pack(value, _DEPTH)).encode()
    if len(data) > LIMIT:
        raise ValueError(f"{len(data)} bytes are more than {LIMIT} may cross")
    return data


def loads(data: bytes) -> Any:
    """Decode a value.

    Args:
        data: what ``dumps`` gave, or anything.

    Returns:
        A value made of the types that may cross and of nothing else.

    Raises:
        ValueError: if the bytes are not what ``dumps`` writes.
    """
    if len(data) > LIMIT:
        raise ValueError(f"{len(data)} bytes are more than {LIMIT} may cross")
    try:
        return _unpack(json.loads(data), _DEPTH)
    except (
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ValueError(f"not an encoded value: {type(error).__name__}") from None


def _pack(value: Any, depth: int) -> Any:
    """A value as JSON can hold it; what JSON has no word for is a dict of one tag."""
    if depth < 0:
        raise ValueError("nested too deep to cross")
    numbers = _pack_numbers(value)  # first: NumPy's scalars are Python's numbers and text, too
    if numbers is not None:
        return numbers
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    return _pack_container(value, depth - 1)


def _pack_numbers(value: Any) -> dict[str, list[Any]] | None:
    """A tensor, an array or NumPy's scalar; None for anything else."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu().resolve_conj().resolve_neg()
        if value.dtype == torch.bfloat16:  # NumPy has no such numbers
            value = value.float()
        return {"tensor": _pack_array(value.numpy())}
    if isinstance(value, np.generic):
        return {"scalar": _pack_array(np.asarray(value))}
    if isinstance(value, np.ndarray):
        return {"array": _pack_array(np.asarray(value))}
    return None


def _pack_container(value: Any, depth: int) -> Any:
    if isinstance(value, list):
        return [_pack(item, depth) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, depth) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _pack(item, depth) for key, item in value.items()}}
    raise TypeError(f"a {type(value).__name__} may not cross")


def _pack_array(array: np.ndarray[Any, Any]) -> list[Any]:
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    if array.dtype.name not in _TYPES:
        raise TypeError(f"an array of {array.dtype.name} may not cross")
    if array.nbytes > LIMIT:
        raise ValueError(f"{array.nbytes} bytes are more than {LIMIT} may cross")
    array = array.astype(array.dtype.newbyteorder("<"))
    return [array.dtype.name, list(array.shape), base64.b64encode(array.tobytes()).decode()]


def _unpack(value: Any, depth: int) -> Any:
    """The value that ``_pack`` made this of."""
    if depth < 0:
        raise ValueError("nested too deep")
    if isinstance(value, list):
        return [_unpack(item, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, inner),) = value.items()
    if tag == "dict":
        return {key: _unpack(item, depth - 1) for key, item in inner.items()}
    if tag == "tuple":
        return tuple(_unpack(item, depth - 1) for item in inner)
    return _unpack_leaf(tag, inner)


def _unpack_leaf(tag: str, inner: Any) -> Any:
    if tag == "complex":
        real, imaginary = inner
        return complex(float(real), float(imaginary))
    if tag == "bytes":
        return base64.b64decode(inner)
    if tag == "array":
        return _unpack_array(*inner)
    if tag == "scalar":
        return _unpack_array(*inner).reshape(-1)[0]
    if tag == "tensor":
        import torch  # only here: half of the sets never need it

        return torch.from_numpy(_unpack_array(*inner))
    raise ValueError("unknown tag")


def _unpack_array(name: str, shape: list[int], text: str) -> np.ndarray[Any, Any]:
    data = base64.b64decode(text)
    if name not in _TYPES or not all(type(n) is int and 0 <= n <= LIMIT for n in shape):
        raise ValueError("not an array of numbers")
    dtype = np.dtype(name).newbyteorder("<")
    if len(shape) > 32 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError("the array's shape and size disagree")
    return np.frombuffer(data, dtype).astype(np.dtype(name)).reshape(shape)
