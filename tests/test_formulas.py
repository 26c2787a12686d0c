"""The printed formula is what is computed: each is evaluated as it is printed, against code."""

from collections import defaultdict
from functools import cache

import pytest

from tests.formulas import printed, statements
from tests.tied import CHAPTERS, Tied, entries, mutants

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
