"""The printed formula is what is computed: each is evaluated as it is printed, against code."""

import re
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.formulas import (
    RULES,
    Side,
    UnreadableError,
    braced,
    printed,
    printed_in,
    rewritten,
    split,
    statements,
    twin,
)
from tests.tied import CHAPTERS, Tied, entries, gradient, mutants

ENTRIES = entries()
TIED = [entry for entry in ENTRIES if not entry.untied]
TAGS = [formula.tag for chapter in CHAPTERS for formula in printed(chapter) if formula.tag]


@cache
def tied(index: int) -> Tied:
    """An entry with its values, drawn once."""
    return Tied(TIED[index])


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2LIB_SEED", "0")
    monkeypatch.setenv("TQDM_DISABLE", "1")


# ---- how formulas are read -----------------------------------------------------------------
SOME: dict[str, Any] = {
    **{"a": 2.0, "b": 3.0, "lam": 0.5, "n": 4.0, "r": {0: 1.0, 1: 5.0}, "t": 0},
    **{"w": np.array([[3.0], [4.0]]), "X": np.array([[1.0, 2.0], [0.0, 1.0]]), "B": (0, 1)},
    **{"s": [2.0, 3.0], "f": lambda x: x + 1, "S": lambda k, x: k * x, "pm": -1.0},
    **{"eta_prime": 7.0, "bhat": 6.0, "n_in": 9.0, "ranges": {"i": range(2)}, "sigmatilde": [1.0]},
}


@pytest.mark.parametrize(
    ("tex", "value"),
    [
        (r"\frac12 a", 1.0),
        (r"\frac{1}{2n}", 0.125),
        (r"\frac\lambda n", 0.125),
        (r"a(b - 1)^2", 8.0),  # a factor, not a function of what is in brackets
        (r"f(b - 1)^2", 9.0),
        (r"\lambda(1-\lambda)", 0.25),
        (r"2^{-a}", 0.25),
        (r"-a^2", -4.0),
        (r"ab/n", 1.5),
        (r"\sqrt{2a}", 2.0),
        (r"\sqrt a^2", 2.0),
        (r"\lVert w\rVert^2", 25.0),
        (r"\lVert X\rVert_*^2", 8.0),  # of the singular values √2 ± 1
        (r"w^\top w", 25.0),
        (r"w^\top X w", 49.0),
        (r"\langle w, X^{-1}w\rangle", 1.0),
        (r"\sum_i s_i^2 + a", 15.0),
        (r"\sum_{i\in B} s_i/|B|", 2.5),
        (r"\prod_i (1 + s_i)", 12.0),
        (r"\sum w^2", 25.0),
        (r"r_{t+1}^2 - r_t", 24.0),
        (r"a\eta'", 14.0),
        (r"\hat b + n_{\rm in}", 15.0),
        (r"\tilde\sigma_0", 1.0),
        (r"S_\lambda(a)", 1.0),
        (r"S_{a\lambda}(b)", 3.0),
        (r"\max\Big(|a - b|, 0\Big)", 1.0),
        (r"a \pm b", -1.0),
        (r"\int_0^1 bx\;dx", 1.5),
    ],
)
def test_a_formula_has_its_value(tex: str, value: float) -> None:
    ((side,), _) = statements(tex)[0]
    assert side.value(SOME) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "tex", [r"r_{t-1}", r"\kappa", r"a +", r"\frac{a}{", "a)", r"s_2", "a b c"]
)
def test_what_has_no_value_is_refused(tex: str) -> None:
    with pytest.raises(UnreadableError):
        statements(tex)[0].sides[0].value(SOME)


def test_a_formula_is_split_into_statements() -> None:
    tex = r"\begin{aligned} a &= b\\ &\approx c, & d &\le e \end{aligned} \quad\text{if } f > g. \tag{1.1}"
    assert [statement.relations for statement in statements(tex)] == [
        ["=", "\\approx"],
        ["\\le"],
        [">"],
    ]


def test_where_formulas_stand() -> None:
    text = "So $a$ is\nthe sum of\n\n$$b = c. \\tag{7.1}$$\n\nAnd so on."
    one, two = printed_in(7, text)
    assert (one.tex, one.tag, one.before) == ("a", "", "So")
    assert (two.tag, two.before) == ("7.1", "So $a$ is the sum of")


def test_a_number_alone_in_dollars_hides_no_formula() -> None:
    (formula,) = printed_in(7, "By ${{a:.1f}}$ or ${{b}}$.\n\n$$b = c. \\tag{7.1}$$\n")
    assert formula.tag == "7.1"


def test_one_thing_changes_at_a_time() -> None:
    changed = [tex for _, tex in mutants(r"\frac12 r_*^k - \lambda")]
    assert changed == [
        *(r"\frac22 r_*^k - \lambda", r"\frac02 r_*^k - \lambda"),
        *(r"\frac13 r_*^k - \lambda", r"\frac11 r_*^k - \lambda"),
        *(r"\frac12 2r_*^k - \lambda", r"\frac12 r_*^{k+1} - \lambda"),
        *(r"\frac12 r_*^k + \lambda", r"\frac12 r_*^k - 2\lambda"),
    ]


# ---- the list ------------------------------------------------------------------------------
def test_each_numbered_formula_is_in_the_list() -> None:
    assert sorted(set(TAGS)) == sorted({entry.tag for entry in ENTRIES if entry.tag})


def test_nine_of_ten_numbered_formulas_are_tied() -> None:
    assert len({entry.tag for entry in TIED if entry.tag}) >= 0.9 * len(TAGS)


def test_each_entry_finds_its_formula() -> None:
    lost = []
    for entry in ENTRIES:
        try:
            entry.formula()
        except LookupError as error:
            lost.append(str(error))
    assert lost == []


def test_no_statement_of_a_tied_formula_is_passed_over() -> None:
    mine: dict[str, set[int]] = defaultdict(set)
    for entry in TIED:
        every = range(1, len(statements(entry.formula().tex)) + 1)
        mine[entry.tag or entry.name] |= {*(entry.only or every), *entry.said}
    passed = [
        f"{entry.name}: statement {k}"
        for entry in TIED
        for k in range(1, len(statements(entry.formula().tex)) + 1)
        if k not in mine[entry.tag or entry.name]
    ]
    assert passed == []


# ---- the formulas --------------------------------------------------------------------------
@pytest.mark.parametrize("index", range(len(TIED)), ids=[entry.name for entry in TIED])
def test_a_printed_formula_is_what_is_computed(index: int) -> None:
    assert tied(index).problems(tied(index).tex) == []


@pytest.mark.parametrize("index", range(len(TIED)), ids=[entry.name for entry in TIED])
def test_an_error_in_print_is_noticed(index: int) -> None:
    """Each entry names a wrong version of its formula."""
    old, new = TIED[index].wrong
    assert tied(index).tex.count(old) >= 1, f"{old} does not stand in it"
    assert tied(index).problems(tied(index).tex.replace(old, new, 1)) != []


BORDERS = [index for index, entry in enumerate(TIED) if entry.truth]


@pytest.mark.parametrize("index", BORDERS, ids=[TIED[index].name for index in BORDERS])
def test_a_border_is_tried_on_both_sides(index: int) -> None:
    assert {tied(index).true(names) for names in tied(index).at} == {True, False}


# ---- all single changes --------------------------------------------------------------------
GROUPS = defaultdict[str, list[int]](list)
for number, each in enumerate(TIED):
    GROUPS[each.tag or each.name].append(number)


def survivors(indices: list[int]) -> set[str]:
    """The changes of a formula after which all of its entries still pass."""
    return {
        change
        for change, tex in mutants(tied(indices[0]).tex)
        if all(tied(index).problems(tex) == [] for index in indices)
    }


def excused(indices: list[int]) -> set[str]:
    """Changes of a formula that nothing can notice, by its entries."""
    return {change for index in indices for change, _ in TIED[index].survives}


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
def test_any_change_of_a_printed_formula_is_noticed(name: str) -> None:
    assert survivors(GROUPS[name]) == excused(GROUPS[name])


def test_few_changes_are_excused() -> None:
    changes = sum(1 for indices in GROUPS.values() for _ in mutants(tied(indices[0]).tex))
    assert sum(len(excused(indices)) for indices in GROUPS.values()) <= 0.05 * changes


# ---- a table -------------------------------------------------------------------------------
METHODS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "SGD, momentum inside or beside": (torch.optim.SGD, {"momentum": 0.9}),
    "Adam with L2": (torch.optim.Adam, {"eps": 0.1}),
    "AdamW": (torch.optim.AdamW, {"eps": 0.1}),
}


def rescaled(method: str) -> list[str]:
    """What stands in the cells of section 9.4's table on a method: formulas only."""
    row = rf"\| {re.escape(method)} \|(.*)"
    (cells,) = re.findall(row, twin(9).read_text(encoding="utf-8"))
    return re.findall(r"\$(.+?)\$", cells)


def run_of(method: str, w: np.ndarray[Any, Any], lr: float, lam: float, eps: float) -> Any:
    """Five steps on a loss without a scale, divided by the size of the start."""
    optimizer, options = METHODS[method]
    size, target = np.linalg.norm(w), torch.tensor([[0.3], [-1.0], [0.7]], dtype=torch.float64)
    point = torch.nn.Parameter(torch.tensor(w))
    options = options | ({"eps": options["eps"] * eps} if "eps" in options else {})
    steps = optimizer([point], lr=lr, weight_decay=lam, **options)
    for _ in range(5):
        point.grad = torch.tensor(
            gradient(lambda w: ((w / w.norm()) * target).sum().tanh(), point.detach().numpy())
        )
        steps.step()
    return point.detach().numpy() / size


def same_run(method: str, cell: str) -> bool:
    """Whether the weights, the rates and so on of a cell give the run that they are said to give."""
    w_0 = np.array([[1.0], [2.0], [-0.5]])
    names = {"w_0": w_0, "eta": 0.1, "lam": 0.3, "varepsilon": 1.0, "c": 3.0}
    parts = split(rewritten(braced(cell.removeprefix("(").removesuffix(")")), RULES), ",")[::2]
    try:
        w, lr, lam, *eps = [Side(part).value(names) for part in parts]
    except UnreadableError:
        return False
    scaled = run_of(method, w, lr, lam, *(eps or [1.0]))
    return np.allclose(scaled, run_of(method, w_0, 0.1, 0.3, 1.0), rtol=1e-9, atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_the_table_of_runs_that_are_the_same(method: str) -> None:
    cell, *_ = rescaled(method)
    assert same_run(method, cell)
    assert [name for name, wrong in mutants(cell) if same_run(method, wrong)] == []


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_change_in_the_runs_that_are_the_same(method: str) -> None:
    cell, *kept = rescaled(method)
    names = {"w_0": np.array([[1.0], [2.0], [-0.5]]), "eta": 0.1, "lam": 0.3, "varepsilon": 1.0}
    parts = split(rewritten(braced(cell[1:-1]), RULES), ",")[::2]
    w, lr, lam, *_ = [Side(part).value(names | {"c": 3.0}) for part in parts]
    sides = [Side(rewritten(braced(tex), RULES)) for tex in kept]
    before = [side.value(names) for side in sides]
    assert [side.value(names | {"w_0": w, "eta": lr, "lam": lam}) for side in sides] == (
        pytest.approx(before)
    )
