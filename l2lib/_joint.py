"""A null space, told in few numbers: which products of powers leave a loss alone."""

from typing import NamedTuple

import numpy as np

from l2lib.datasets import Array

# Relative. What is zero by identity is about 1e-15, of fifty architectures; the others' least 1e-3.
ZERO = 1e-11
# A singular value below this share of the largest, and above the other, may be either.
DOUBTFUL = 1e-4
# An exponent below this share of the largest is rounding; exponents are told to 6 digits.
NO_EXPONENT = 1e-6
ROUNDING = 1e-11
# A vector of norm 1 is independent of others if so much of it is.
INDEPENDENT = 1e-6
# So many orders of the columns are tried for a basis of few numbers.
ORDERS = 60


class NullSpace(NamedTuple):
    """Vectors that a matrix sends to zero.

    Attributes:
        basis: of the space, a vector a row, with few entries each; the first is 1.
        nearly: directions outside it that the matrix sends almost to zero.
    """

    basis: Array
    nearly: Array


def null_space(matrix: Array) -> NullSpace:
    """The null space of a matrix whose columns may differ by orders of magnitude.

    Args:
        matrix: real, at least as many rows as columns.

    Returns:
        A sparse basis, and what is doubtful.
    """
    # What is zero must not depend on the columns' scale.
    scale = np.abs(matrix).max(0)
    scale[scale == 0] = 1
    even = matrix / scale
    rows = np.abs(even).max(1, keepdims=True)
    even /= np.where(rows == 0, 1, rows)
    _, strength, directions = np.linalg.svd(even)
    rank = int((strength > ZERO * strength[0]).sum())
    sure = int((strength > DOUBTFUL * strength[0]).sum())
    return NullSpace(_sparse(directions[rank:], scale), directions[sure:rank] / scale)


def _sparse(basis: Array, scale: Array) -> Array:
    """Exponents that span a space, few in each row: those that elimination in some order finds.

    Args:
        basis: of the space, in rows; where columns are as large as each other.
        scale: by which an exponent is smaller, by column.

    Returns:
        A row each.
    """
    rng = np.random.default_rng(0)
    orders = [np.arange(len(scale))]
    orders += [rng.permutation(len(scale)) for _ in range(ORDERS * (len(basis) > 1))]
    rows = (row for order in orders for row in _reduced(basis[:, order])[:, np.argsort(order)])
    found = [_without_rounding(row, scale) for row in rows]
    found.sort(key=lambda row: int((row != 0).sum()))  # stable: the first order first
    chosen: list[Array] = []
    unit: list[Array] = []  # the same space as the chosen, orthonormal
    for row in found:
        rest = row / np.linalg.norm(row)
        for u in unit * 2:  # twice, for rounding
            rest = rest - (rest @ u) * u
        if len(chosen) < len(basis) and np.linalg.norm(rest) > INDEPENDENT:
            chosen.append(row / scale)
            unit.append(rest / np.linalg.norm(rest))
    told = [row / row[np.flatnonzero(row)[0]] for row in chosen]
    told.sort(key=lambda row: int(np.flatnonzero(row)[0]))
    return np.array(told).reshape(len(basis), len(scale))


def _without_rounding(row: Array, scale: Array) -> Array:
    size, exponent = np.abs(row), np.abs(row / scale)
    kept = (size > ROUNDING * size.max()) & (exponent > NO_EXPONENT * exponent.max())
    return np.where(kept, row, 0.0)


def _reduced(basis: Array) -> Array:
    """The same space with as many zeros as there can be pivots (Gauss and Jordan)."""
    basis, done = basis.copy(), 0
    for column in range(basis.shape[1]):
        if done == len(basis):
            break
        pivot = done + int(np.abs(basis[done:, column]).argmax())
        if abs(basis[pivot, column]) <= NO_EXPONENT * np.abs(basis[pivot]).max():
            continue
        basis[[done, pivot]] = basis[[pivot, done]]
        basis[done] /= basis[done, column]
        others = np.arange(len(basis)) != done
        basis[others] -= np.outer(basis[others, column], basis[done])
        done += 1
    return basis
