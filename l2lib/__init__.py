"""Helper package of The L2 Book: what an L2 penalty does to a neural network.

Import from its modules, so that a chapter shows where each name comes from:

* ``claims``: sentences that can fail, verdicts on the sources, seeds.
* ``figures``: one style, and pictures with a description in words.
* ``datasets``: offline data as arrays, with source and licence.
* ``penalty``: the L2 penalty and its size scalings, the shrink factor, ridge regression in closed form.
* ``conventions``: λ from any framework into any other; ``groups``: which parameters of a model decay.
* ``sweep``: train many configurations at once.
"""

__version__ = "0.1.0"
