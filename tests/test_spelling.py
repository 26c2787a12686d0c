"""Whatever a terminal or a file can write: nothing that the book prints stops a run or is unreadable."""

import ast
import io
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.execute import ROOT
from l2lib._spelling import NAME, WORDS, speak

ENCODINGS = ("ascii", "cp1252", "latin-1", "cp437", "cp1251", "cp932", "gbk")
ROOMS = ("l2lib", "book", "course/grading", "experiments", "tests/planted")
# What Windows does where output is redirected; what a bare C locale does.
SETTINGS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    "the C locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


def texts(path: Path) -> list[str]:
    """All text that stands in a module: what it says, and its docstrings; not bytes as text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    said = [value for value in constants if isinstance(value, str) and not value.isascii()]
    return [value for value in said if not any("\ud800" <= sign <= "\udfff" for sign in value)]


def python(*arguments: str, setting: str) -> subprocess.CompletedProcess[bytes]:
    """Run Python where standard output has few signs."""
    own = ("PYTHONIO", "PYTHONUTF8", "PYTHONCOERCE", "TQDM_", "LC_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    options = {"cwd": ROOT, "env": clean | SETTINGS[setting], "stdin": subprocess.DEVNULL}
    return subprocess.run([sys.executable, *arguments], capture_output=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


# ---- the words -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "ascii", "cp1252"),
    [
        ("✓ η = 0.1, λ ≥ 0", "ok eta = 0.1, lambda >= 0", "ok eta = 0.1, lambda >= 0"),
        ("w ← (1 − ηλ)w − ηv", "w <- (1 - eta lambda)w - eta v", "w <- (1 - eta lambda)w - eta v"),
        ("(λ/2)‖w‖²", "(lambda/2)||w||^2", "(lambda/2)||w||²"),
        ("λ₁ + 2λ₂₃", "lambda_1 + 2 lambda_23", "lambda_1 + 2 lambda_23"),
        ("10⁻³ to 10⁻¹²", "10^-3 to 10^-12", "10^-³ to 10^-¹²"),
        ("tok × α, pos × α⁻¹", "tok x alpha, pos x alpha^-1", "tok × alpha, pos × alpha^-¹"),
        ("m̂/(√v̂ + ε)", "mhat/(sqrt vhat + epsilon)", "mhat/(sqrt vhat + epsilon)"),
        ("ŷ, ȳ, xᵀΣx", "yhat, ybar, x^T Sigma x", "yhat, ybar, x^T Sigma x"),
        ("64×64, 2½, ½", "64x64, 2 1/2, 1/2", "64×64, 2½, ½"),
        ("∂L/∂w, λ_l, s_t λ", "dL/dw, lambda_l, s_t lambda", "dL/dw, lambda_l, s_t lambda"),
        ("“naïve” … – Müller’s", "\"naive\" ... - Muller's", "“naïve” … – Müller’s"),
        ("Δ, ΔW, √(2), 5°, µ", "Delta, Delta W, sqrt(2), 5 degrees, mu", "Delta, Delta W, sqrt(2), 5°, µ"),
        ("名.ipynb", "\\u540d.ipynb", "\\u540d.ipynb"),
        ("plain", "plain", "plain"),
    ],
)  # fmt: skip
def test_signs_are_spelled(text: str, ascii: str, cp1252: str) -> None:
    assert text.encode("ascii", NAME).decode("ascii") == ascii
    assert text.encode("cp1252", NAME).decode("cp1252") == cp1252
    assert text.encode("utf-8", NAME).decode("utf-8") == text


@given(text=st.text(), encoding=st.sampled_from(ENCODINGS))
def test_any_text_can_be_written_in_any_encoding(text: str, encoding: str) -> None:
    written = text.encode(encoding, NAME)
    assert text.encode("ascii", NAME).isascii() or any(
        "\udc80" <= sign <= "\udcff" for sign in text
    )
    try:  # what can be written is
        assert written == text.encode(encoding)
    except UnicodeEncodeError:
        assert written


@given(before=st.binary(max_size=5))
def test_the_bytes_of_a_files_name_are_written_as_they_were(before: bytes) -> None:
    name = b"\xff" + before + "λ".encode()
    assert name.decode("ascii", "surrogateescape").encode("ascii", NAME) == name


def test_a_handler_of_what_is_written_reads_nothing() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", NAME)


@pytest.mark.parametrize("room", ROOMS)
def test_every_sign_of_the_book_has_a_word(room: str) -> None:
    said = [text for path in sorted((ROOT / room).rglob("*.py")) for text in texts(path)]
    said += [path.read_text(encoding="utf-8") for path in sorted((ROOT / room).rglob("*.toml"))]
    assert said
    for encoding in ENCODINGS:
        for text in said:
            for line in text.splitlines():
                written = line.encode(encoding, NAME).decode(encoding)
                assert written.count("\\u") == line.count("\\u"), line
                assert written.count("\\x") == line.count("\\x"), line


# ---- streams -------------------------------------------------------------------------------
def stream(encoding: str, errors: str = "strict") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)


@pytest.mark.parametrize("errors", ["strict", "surrogateescape", "backslashreplace"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_stream_without_lambda_is_told(encoding: str, errors: str) -> None:
    told = stream(encoding, errors)
    speak(told)
    assert told.errors == NAME
    told.write("✓ λ‖w‖")
    told.flush()


@pytest.mark.parametrize(
    ("encoding", "errors"),
    [
        ("utf-8", "strict"),
        ("utf-16", "strict"),
        ("cp1252", "replace"),
        ("ascii", "xmlcharrefreplace"),
    ],
)
def test_a_stream_that_can_or_was_told_otherwise_is_left_alone(encoding: str, errors: str) -> None:
    left = stream(encoding, errors)
    speak(left)
    assert left.errors == errors


def test_what_is_no_file_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    speak(io.StringIO(), object())
    monkeypatch.setattr(sys, "stdout", None)  # as pythonw has it
    speak()


# ---- what prints ---------------------------------------------------------------------------
LIBRARY = """
import contextlib, io, warnings
import torch
from torch import nn
from tqdm import tqdm
from l2lib.claims import claim, identities, verdict
from l2lib.conventions import convert, describe_conventions, dictionary
from l2lib.groups import param_groups, table
from l2lib.invariance import scale_invariance
from l2lib.penalty import l2_penalty
from l2lib.sweep import MLP, Engine, sweep

model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).double()
print(table(model, torch.optim.AdamW(model.parameters())))
print(param_groups(model, 0.1))
print(scale_invariance(model, lambda m: m(X).square().mean()))
print(describe_conventions(), dictionary("penalty"), dictionary("decay"))
claim("01-norm", "‖w‖² stays ≥ 5 under η = 0.1, λ·η → 0", measured=5.2, above=5)
claim("01-root", "√2 squared is 2", measured=2**0.5 * 2**0.5, equals=2, within=1e-12)
identities()
verdict("S3-06", "false", "‖0‖ is 0.")
run = sweep(MLP((3, 1)), X, X.sum(1), lr=0.1, steps=2)
print(run)
for _ in tqdm(range(3), desc="λ"):
    pass
with warnings.catch_warnings():
    warnings.simplefilter("default")
    options = {"lr": 1e-4, "weight_decay": 1e-3, "steps": 1, "engine": Engine(dtype="float32")}
    sweep(MLP((3, 1)), X, X.sum(1), **options)
for wrong in (
    lambda: claim("01-x", "λ is {}", measured=3, below=1),
    lambda: sweep(MLP((3, 1)), X, X.sum(1), lr=0.1, weight_decay=-1, steps=1),
    lambda: convert(0.1, "torch_adamw", "λ", lr=1e-3),
    lambda: l2_penalty(model, -1),
):
    try:
        wrong()
    except (ValueError, AssertionError) as error:
        print(error)
with open("/dev/null" if __import__("os").name != "nt" else "nul", "w", encoding="cp1252") as file:
    with contextlib.redirect_stdout(file):
        claim("01-norm", "λ is {}", measured=5.2, above=5)
sweep(MLP((3, 1)), X, X.sum(1), lr=0.1, steps=1, decay_factors={"λ": -1})
"""


@pytest.mark.parametrize("setting", SETTINGS)
def test_all_that_the_library_prints_can_be_printed_and_read(setting: str, tmp_path: Path) -> None:
    (tmp_path / "prints.py").write_text(LIBRARY, encoding="utf-8")
    done = python(str(tmp_path / "prints.py"), setting=setting)
    encoding = "cp1252" if setting == "cp1252" else "ascii"
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert "UnicodeEncodeError" not in err, err
    assert "ValueError: decay_factors: nothing is called 'lambda'" in err  # the last line's
    assert "\\u" not in out + err
    assert "\\x" not in out + err
    assert "ok ||w||" in out
    assert "lambda" in out
    assert "alpha" in out
    assert "eta lambda < 1e-6" in err
    assert "lambda: 100%" in err  # the bar


HELP = "book.execute course.problem_sets experiments.fashion_mnist experiments.bench tests.again tests.chapter"
HELP += " tests.lock tests.planted tests.planted.chapters tests.portability tests.room"
TOOLS = [(tool, "--help", 0) for tool in HELP.split()]
TOOLS += [
    ("course.grading", "--help", 0),
    ("course.grading", "/λ/名", 2),
    ("tests.unbound", "04", 0),
]
TOOLS += [("course.problem_sets", "--sources=/λ", 2), ("tests.planted", "λ ✓", 2)]


@pytest.mark.slow
@pytest.mark.parametrize(("tool", "asked", "status"), TOOLS)
def test_every_tool_says_in_ascii_what_it_says(tool: str, asked: str, status: int) -> None:
    done = python("-m", tool, asked, setting="ascii")
    said = (done.stdout + done.stderr).decode("ascii")
    assert done.returncode == status, said
    assert said
    assert "Traceback" not in said
    assert "\\u03bb" not in said
    if "λ" in asked:
        assert "lambda" in said


@pytest.mark.parametrize("sign", WORDS)
def test_a_sign_and_its_mirror_image_have_mirrored_words(sign: str) -> None:
    """Less and greater, left and right, before and after; a capital has its word in capitals."""
    mirrored = str.maketrans("<>[]", "><][")
    name = unicodedata.name(sign)
    for one, other in (("LESS", "GREATER"), ("LEFT", "RIGHT")):
        try:
            mirror = unicodedata.lookup(name.replace(one, other))
        except KeyError:
            continue
        if mirror != sign and mirror in WORDS and WORDS[sign].strip("<>[]=-") == "":
            assert {*"<["} & {*WORDS[sign]}
            word = WORDS[sign].translate(mirrored)
            assert WORDS[mirror] == (word[::-1] if "ARROW" in name else word)
    if sign.isupper() and len(sign.lower()) == 1:
        assert WORDS[sign] == WORDS[sign.lower()].upper()
    if "FRACTION ONE" in name:
        assert eval(WORDS[sign]) == unicodedata.numeric(sign)
