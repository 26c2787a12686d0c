"""What a call refuses, in words."""

from collections.abc import Callable


def refusal(call: Callable[[], object]) -> str:
    """The words of a ``ValueError``, so that a refusal too many fails a comparison, too.

    Args:
        call: a function without arguments.

    Returns:
        What the error says; empty where there is none.
    """
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""
