"""Whether the lines and the colours of a contour map lie where the heights say."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

Array = NDArray[Any]


def off_map(ax: Axes, x: Array, y: Array, heights: Array) -> float:
    """How far the height along a drawn contour is from what it stands for, at worst.

    Args:
        ax: axes with ``contour`` or ``contourf``.
        x: where the heights are known, along the x axis.
        y: the same along the y axis.
        heights: at each x and y, shape (x, y).

    Returns:
        The largest distance of a line's height from its level, or of a colour's from its range; in
        a cell both are straight between its corners. NaN if nothing is drawn.
    """
    surface = RegularGridInterpolator((x, y), heights, bounds_error=False, fill_value=None)
    found = []
    for drawn in (each for each in ax.collections if isinstance(each, ContourSet)):
        levels = [-np.inf, *drawn.levels, np.inf]
        outside = (
            len(levels) - 1 - len(drawn.get_paths())
        ) // 2  # 0 where what lies beyond has colours
        for k, path in enumerate(drawn.get_paths()):
            there = surface(path.vertices)
            low, high = levels[k + outside : k + outside + 2]
            if not drawn.filled:
                low = high = drawn.levels[k]
            found += [*(low - there), *(there - high)]
    return max(found, default=float("nan"))
