"""No number stands in a chapter's words that nothing binds; what is listed as an exception is there."""

import tomllib
from pathlib import Path

import pytest

from book.execute import SOURCE
from tests import unbound

CHAPTERS = sorted(SOURCE.glob("[0-9]*.py"))
EXCEPTIONS = tomllib.loads((unbound.HERE / "unbound.toml").read_text(encoding="utf-8"))


# ---- the chapters ----------------------------------------------------------------------------------
@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_every_number_in_words_is_bound(source: Path) -> None:
    assert [str(each) for each in unbound.unbound(source)] == []


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_every_exception_is_needed_and_has_a_reason(source: Path) -> None:
    rows = EXCEPTIONS.get(source.stem[:2], {})
    texts = [" ".join(text.split()) for text in unbound.words_of(source)]
    gone = [phrase for phrase in rows if not any(phrase in text for text in texts)]
    assert gone == [], "no longer in the chapter: take it from tests/unbound.toml"
    assert all(len(reason.split()) > 2 for reason in rows.values())
    needed = {each.number for each in unbound.unbound(source, excepting=False)}
    idle = [phrase for phrase in rows if not any(number in phrase for number in needed)]
    assert idle == [], "not needed: take it from tests/unbound.toml"


def test_exceptions_are_few() -> None:
    assert all(len(rows) <= 11 for rows in EXCEPTIONS.values())


# ---- what the list finds ---------------------------------------------------------------------------
CODE = """
# %%
runs = train(lr=0.1, steps=400)
last = runs[3]
claim("09-a", "the loss is {:.2f}, WORDS", measured=runs, below=0.5)
verdict("S0-01", "false", "it is WORDS")
fig, ax = figures.subplots()
ax.plot(runs[3], lw=1.25, label="loss")
ax.set_title("It is WORDS")
figures.show(fig, f"A line at {runs[0]:.2f} and WORDS.")
"""


def chapter(folder: Path, markdown: str = "Words.", words: str = "well") -> Path:
    path = folder / "99_sample.py"
    text = "# %% [markdown]\n" + "".join(f"# {line}\n" for line in markdown.splitlines())
    path.write_text(text + CODE.replace("WORDS", words), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "words",
    [
        "The error is 0.37.",
        "It falls by 37 % at once.",
        "It needs 1,234 steps",
        "It is $0.37$ then",
        r"so $\theta = 0.37$ rad",
        r"so $\lambda\approx 37$",
        "about 3·10⁻⁷ of it",
        "it is ten times larger",
        "between 0.1 and 0.37",
        "The last of 401 steps",
        "as 3 of them do, by an index",
        "- the slope 1.25 of a line that is drawn so wide",
        "| η | 0.37 |",
        "it is 3 times larger, as many as an index says",
        "Back to 400 % of it, though 400 steps are set",
        "a 3-fold gain",
        "after 50 steps, though a bound of 0.5 is set",
        "it is larger by a factor\nof ten",
        "## 9.1 What 400 inputs do",
        "where η < λ it is 0.37, and less where η > λ",
    ],
)
def test_a_number_that_nothing_binds_is_found(words: str, tmp_path: Path) -> None:
    found = unbound.unbound(chapter(tmp_path, words))
    assert {each.number in words for each in found} == {True}
    assert len(unbound.unbound(chapter(tmp_path, words="37 of 38"))) == 8


@pytest.mark.parametrize(
    "words",
    [
        "The error is {{runs[0]:.2f}}.",
        r"At $\eta = 0.1$, after 400 steps, half of 0.5",
        "See chapter 8, sections 8.3 and 9.1, (8.2) and (8.3)–(8.5), and exercise 7.",
        "As above (§3.2), and in [§2.1](37.ipynb) or §3.4 and §3.5.",
        "See §8.3, and Figure 9.1.",
        "Ioffe (2015) and van Laarhoven [2017](https://a.org/37)",
        "`lr=0.37` in code, MNIST-1D, float32, 64-bit, L2, a 28 × 28 picture",
        r"the formula $r^4 = 37\eta^2$",
        "$$x = 37 \\tag{9.1}$$",
        "## 9.12 A heading\n\n12. A list",
        "- decides S1-05 and `09-b`",
        "Chapters [5](05_x.ipynb) and [6](06_x.ipynb) say which, [12](12_x.ipynb) why.",
    ],
)
def test_what_is_no_measurement_is_passed(words: str, tmp_path: Path) -> None:
    assert unbound.unbound(chapter(tmp_path, words)) == []


def test_a_solution_that_a_test_tries_is_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"chapter": 99, "number": 1, "says": ["ends at {{after:.2f}}, not 37"]}
    monkeypatch.setattr(unbound, "_table", lambda name: {"exercise": [row], "direction": []})
    assert unbound.unbound(chapter(tmp_path, "It ends at\n0.37, not 37.")) == []
    (found,) = unbound.unbound(chapter(tmp_path, "It ends at 0.37, not 38."))[-1:]
    assert found.number == "38"


def test_a_formula_typed_again_needs_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: dict[str, list[dict[str, object]]] = {"exercise": [], "direction": []}
    monkeypatch.setattr(unbound, "_table", lambda name: rows if "unbound" not in name else {})
    path = chapter(tmp_path, "It is {{last:.2f}}, or\n{{1 / (2 * 400):.4f}} at most.")
    assert [found.number for found in unbound.unbound(path)] == ["{{1 / (2 * 400):.4f}}"]
    rows["direction"] = [{"chapter": 99, "says": "or {{1 / (2 * 400):.4f}} at most", "check": "…"}]
    assert unbound.unbound(path) == []


NEAR = """
# %% [markdown]
# WORDS
#
# %%
run = sweep(lr=0.1, weight_decay=[0, 3.0], steps=400, seeds=seeds(5))

# %% [markdown]
# Elsewhere.

# %%
other = sweep(lr=0.2, weight_decay=0.5, steps=800, seeds=seeds(9))
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Train for 400 steps.", "Train for 800 steps."),
        ("With $\\eta = 0.1$ it learns.", "With $\\eta = 3$ it learns."),
        ("At λ = 3 it learns.", "At λ = 0.1 it learns."),
        ("The mean of five seeds.", "The mean of nine seeds."),
        ("Of 5 seeds.", "Of 3 seeds."),
        ("At $\\eta\\lambda = 3$ it ends.", "At $\\eta\\lambda = 0.5$ it ends."),
    ],
)
def test_a_setting_of_another_section_is_found(right: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "07_sample.py"
    for words, found in ((right, 0), (wrong, 1)):
        path.write_text(NEAR.replace("WORDS", words), encoding="utf-8")
        assert len(unbound.unbound(path)) == found


def hold(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """Let one row hold these words of chapter 7, in place of all rows and exceptions."""
    rows = {"exercise": [], "direction": [{"chapter": 7, "says": words, "check": "…"}]}
    monkeypatch.setattr(unbound, "_table", lambda name: rows if "unbound" not in name else {})


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("It uses five seeds in two or three runs.", []),
        ("Seven levels, mean of nine.", ["Seven"]),
        ('In `seven` runs, and as "eight" say.', []),
        ("In twelve runs.", []),
        ("In twelve ways.", ["twelve"]),
        ("We print {{max(9, 3)}}, the largest of nine.", []),
    ],
)
def test_a_count_in_letters_is_set_beside_or_held(
    words: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(monkeypatch, "twelve runs")
    monkeypatch.setattr(unbound, "by_hand", lambda _: [])
    path = tmp_path / "07_sample.py"
    path.write_text(NEAR.replace("WORDS", words), encoding="utf-8")
    assert [each.number for each in unbound.unbound(path)] == found


@pytest.mark.parametrize(
    ("solution", "found"),
    [
        ("Both 400 and 0.1, twice.", []),
        ("At 0.2, for 800 steps.", ["0.2", "800"]),
        ("It ends at 3 of 5.", []),
    ],
)
def test_a_number_in_a_solution_is_given_or_held(
    solution: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(monkeypatch, "ends at 3 of 5")
    path = tmp_path / "07_sample.py"
    asked = "# %% [markdown]\n# ## 7.9 Exercises\n#\n# **1.** Train for 400 steps at 0.1.\n#\n"
    solved = f"# <details>\n# <summary>Solution</summary>\n#\n# {solution}\n#\n# </details>\n"
    path.write_text(NEAR.replace("WORDS", "Words.") + "\n" + asked + solved, encoding="utf-8")
    assert [each.number for each in unbound.unbound(path)] == found


def test_what_is_said_at_several_places_covers_none() -> None:
    everywhere, once = (
        unbound.pattern(f"{words}from {{{{a}}}} to {{{{b}}}}") for words in ("", "rises ")
    )
    texts = ["It rises from 1 to 2.", "It falls from 3 to 4."]
    assert unbound.in_one_place([everywhere, once], texts) == [once]
