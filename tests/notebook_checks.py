"""What every chapter must satisfy: one function a rule, each returning the problems it finds, in words."""

import ast
import builtins
import copy
import html
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import nbval.plugin
from jupytext.compare import NotebookDifference, compare_notebooks
from nbformat import NotebookNode

from book import folding, sentences
from book.execute import KERNELSPEC, read_source
from book.ledger import rows
from book.names import Names, names_in
from l2lib import ledger
from l2lib._bounds import ROUNDING
from l2lib._drawn import MIME as DRAWN
from l2lib.claims import MIME

MAX_CELL_LINES = 20
MAX_MEDIAN_LINES = 8
MAX_COLUMNS = 100
MAX_BYTES = 1_000_000
MIN_ALT_WORDS = 12
CELL_METADATA = {"tags", "mystnb", "jupyter", sentences.KEY}
NBVAL_TAGS = {tag.lower() for tag in nbval.plugin.metadata_tags} | {"skip-execution"}

_PATH = re.compile(r"""(?:^|[\s'"(=>])(/\w[\w.+-]*/[\w.+-]+|[A-Za-z]:\\\w+|~/\w+)""", re.MULTILINE)
_LIKE_A_CLAIM = re.compile(r"^\W*✓|class=.l2-(claim|verdict|verdicts|identities)")
_OF_FIGURE = re.compile(r"\d+\.\d+")
_FIGURE = re.compile(r"\b[Ff]igures? \d+\.\d+(?:(?:, | to | and |, and )\d+\.\d+)*")
_TABLE_HEAD = re.compile(r"^(\|.*\|) *\n\|[ :|-]+\|", re.MULTILINE)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_UNFILLED = re.compile(r"\{[A-Za-z_]\w*[\[(.:][^{}]*\}")
_OF_MATPLOTLIB = re.compile(r"\bText\(|<matplotlib\.|<Axes\b|\bLine2D\(|<\w+Container\b")

Check = Callable[[NotebookNode], list[str]]


def code_cells(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Code cells, each with a name that a writer can find it by."""
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        first = cell.source.strip().partition("\n")[0][:50]
        yield f"code cell {number} ({first!r})", cell


def outputs(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Every output, with the name of its cell."""
    for where, cell in code_cells(notebook):
        for output in cell.outputs:
            yield where, output


def texts(output: NotebookNode) -> Iterator[str]:
    """What an output shows in text."""
    if output.output_type == "stream":
        yield output.text
    for mime, data in output.get("data", {}).items():
        if not mime.startswith("image/"):
            yield data if isinstance(data, str) else str(data)


# ---- execution -----------------------------------------------------------------------------
def check_executed(notebook: NotebookNode) -> list[str]:
    """Every code cell was run, once, from top to bottom: nbval compares nothing in a cell that was not."""
    return [
        f"{where}: execution count is {cell.execution_count}, expected {number}; run `make notebooks`"
        for number, (where, cell) in enumerate(code_cells(notebook), start=1)
        if cell.execution_count != number
    ]


def check_errors(notebook: NotebookNode) -> list[str]:
    """No cell ended in an error."""
    found = (
        (where, output) for where, output in outputs(notebook) if output.output_type == "error"
    )
    return [f"{where}: stored error {output.ename}: {output.evalue}" for where, output in found]


def check_stderr(notebook: NotebookNode) -> list[str]:
    """No warnings and no progress bars."""
    found = (
        (where, output) for where, output in outputs(notebook) if output.get("name") == "stderr"
    )
    return [f"{where}: writes to stderr: {output.text.strip()[:100]!r}" for where, output in found]


def check_titles(notebook: NotebookNode) -> list[str]:
    """The first cell has the one title: a line of words that begins with # renders as another."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    titles = re.findall(
        r"^# .*", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    return [f"a second title: {title!r}; words do not begin with #" for title in titles[1:]]


def check_plain_python(notebook: NotebookNode) -> list[str]:
    """No magics, no shell: nbval passes a cell whose magic is unknown, whatever follows in it."""
    problems = []
    for where, cell in code_cells(notebook):
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            problems.append(
                f"{where}: not plain Python ({error.msg}); magics and !commands are not allowed"
            )
        if "get_ipython" in cell.source:
            problems.append(f"{where}: calls get_ipython(); magics are not allowed")
    return problems


def check_nbval_runs_all(notebook: NotebookNode) -> list[str]:
    """No cell asks nbval to skip it, to ignore its output or to expect an exception."""
    problems = []
    for where, cell in code_cells(notebook):
        tags = {str(tag).lower() for tag in cell.metadata.get("tags", [])} & NBVAL_TAGS
        markers = {
            marker for marker in nbval.plugin.comment_markers if marker in cell.source.upper()
        }
        problems += [
            f"{where}: {name} is not allowed; every output is compared"
            for name in sorted(tags | markers)
        ]
    return problems


# ---- what is stored ------------------------------------------------------------------------
def check_metadata(notebook: NotebookNode) -> list[str]:
    """No metadata but the kernel, tags, and pictures' alt text, caption and width: no timings, no widgets."""
    expected = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    problems = []
    if notebook.metadata != expected:
        problems.append(
            f"notebook metadata is {dict(notebook.metadata)}, expected {expected}; run `make notebooks`"
        )
    for number, cell in enumerate(notebook.cells):
        stray = (set(cell.metadata) - CELL_METADATA) | (set(cell) & {"attachments"})
        stray |= set(cell.metadata.get("jupyter", {})) - {"source_hidden"}
        problems += [
            f"cell {number}: stray metadata {name!r}; run `make notebooks`"
            for name in sorted(stray)
        ]
    for where, output in outputs(notebook):
        metadata = output.get("metadata", {})
        stray = set(metadata) - {"image/png"} | set(metadata.get("image/png", {})) - {
            "alt",
            "width",
            "number",
            "caption",
        }
        problems += [f"{where}: stray output metadata {name!r}" for name in sorted(stray)]
    return problems


def check_values(notebook: NotebookNode) -> list[str]:
    """No cell shows the value of its last line: what a reader sees is printed, drawn or claimed."""
    return [
        f"{where}: shows a bare value, {output.data.get('text/plain', '')[:60]!r}; print it, or assign it to _"
        for where, output in outputs(notebook)
        if output.output_type == "execute_result"
    ]


def check_folding(notebook: NotebookNode) -> list[str]:
    """Cells are folded by the rule of ``book.folding``, in JupyterLab and in the HTML book."""
    ruled = folding.fold(copy.deepcopy(notebook))
    pairs = zip(code_cells(notebook), code_cells(ruled), strict=True)
    return [
        f"{where}: its folding is {dict(cell.metadata)}, not {dict(other.metadata)}; run `make notebooks`"
        for (where, cell), (_, other) in pairs
        if cell.metadata != other.metadata
    ]


def check_machine(notebook: NotebookNode) -> list[str]:
    """No output names a folder of the machine that made it, or a memory address."""
    problems = []
    for where, output in outputs(notebook):
        for text in texts(output):
            if match := _PATH.search(text) or _ADDRESS.search(text):
                problems.append(
                    f"{where}: shows {match[0].strip()!r}, which differs from machine to machine"
                )
    return problems


def check_leftovers(notebook: NotebookNode) -> list[str]:
    """No output is what a call of matplotlib returned: a cell's last expression is shown."""
    return [
        f"{where}: shows {output.data['text/plain'][:60]!r}; end the cell with another line"
        for where, output in outputs(notebook)
        if set(output.get("data", {})) == {"text/plain"}
        and _OF_MATPLOTLIB.search(output.data["text/plain"])
    ]


def check_unfilled(notebook: NotebookNode) -> list[str]:
    """No sentence shows code in braces, such as {line.y[0]:.2f}: a string that is no f-string."""
    return [
        f"{where}: shows {match[0]!r}; is an f missing before the string?"
        for where, output in outputs(notebook)
        for mime, text in output.get("data", {"text/plain": output.get("text", "")}).items()
        if mime in ("text/plain", "text/html") and isinstance(text, str)
        for match in _UNFILLED.finditer(text)
    ]


def check_figures(notebook: NotebookNode) -> list[str]:
    """Every picture comes from ``l2lib.figures.show``: PNG, with alt text, and the same words below it."""
    problems = []
    for where, cell in code_cells(notebook):
        for output, following in zip(cell.outputs, [*cell.outputs[1:], None], strict=False):
            if problem := _picture_problem(output, following):
                problems.append(f"{where}: {problem}; display figures with l2lib.figures.show")
    return problems


def _picture_problem(output: NotebookNode, following: NotebookNode | None) -> str | None:
    data: dict[str, Any] = output.get("data", {})
    if re.search(r"<(img|svg|canvas|iframe)\b", str(data.get("text/html", ""))):
        return "HTML output holds a picture"
    kinds = [mime for mime in data if mime.startswith(("image/", "application/pdf"))]
    if not kinds:
        return (
            "a figure is printed, not shown"
            if "<Figure size" in str(data.get("text/plain"))
            else None
        )
    alt = output.metadata.get("image/png", {}).get("alt", "")
    words = following.get("data", {}).get("text/html", "") if following else ""
    if kinds != ["image/png"]:
        return f"picture stored as {', '.join(kinds)}"
    if len(alt.split()) < MIN_ALT_WORDS:
        return f"alt text has fewer than {MIN_ALT_WORDS} words: {alt!r}"
    plain = re.sub(r"^(Picture|Figure [\d.]+): ", "", data.get("text/plain", ""))
    if plain != alt or f"<p>{html.escape(alt)}</p>" not in words:
        return "the alt text does not stand with the picture"
    if DRAWN not in data:
        return "it is not stored with what it draws"
    return None


def check_numbers(notebook: NotebookNode) -> list[str]:
    """Figures are numbered in their order, and a figure that the text speaks of is there."""
    seen = [
        output.metadata.get("image/png", {}).get("number")
        for _, output in outputs(notebook)
        if "image/png" in output.get("data", {})
    ]
    chapter = str(seen[0]).partition(".")[0] if seen else ""
    wanted = [f"{chapter}.{place}" for place, _ in enumerate(seen, start=1)]
    problems = [
        f"the figure numbered {number} should have number={want!r}"
        for number, want in zip(seen, wanted, strict=True)
        if number != want
    ]
    named = {n for cell in notebook.cells for text in _FIGURE.findall(cell.source)
             for n in _OF_FIGURE.findall(text)}  # fmt: skip
    missing = sorted(n for n in named - {*wanted} if n.startswith(f"{chapter}."))
    return problems + [f"Figure {number} is spoken of and not there" for number in missing]


def check_tables(notebook: NotebookNode) -> list[str]:
    """Each column of a table has a heading in words: a screen reader finds a lone formula empty."""
    problems = []
    for cell in notebook.cells:
        for row in _TABLE_HEAD.findall(cell.source) if cell.cell_type == "markdown" else ():
            heads = re.sub(r"\$[^$]*\$", "", row)[1:-1].split("|")
            if not all(re.search(r"\w", head) for head in heads):
                problems.append(f"a table has a heading without words: {row}")
    return problems


def check_summaries(notebook: NotebookNode) -> list[str]:
    """The line that is seen of a fold is plain text: no formula is drawn inside HTML."""
    return [
        f"a fold's summary has a formula, which the book shows raw: {summary}"
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for summary in re.findall(r"<summary>.*?</summary>", cell.source, re.DOTALL)
        if "$" in summary
    ]


def check_descriptions(notebook: NotebookNode) -> list[str]:
    """Numbers in descriptions and titles are read from what is drawn, not from variables beside it."""
    cells = [*code_cells(notebook)]
    trees = [ast.parse(cell.source) for _, cell in cells]
    set_here = set().union(*map(_constants, trees)) if trees else set()
    problems = []
    for (where, _), tree in zip(cells, trees, strict=True):
        known = _read_from(tree, set_here)
        for text in _shown_texts(tree):
            strange = sorted(_fields(text) - known - _EVERYWHERE)
            problems += [
                f"{where}: a title or description has {name!r}, which is not what is drawn: "
                "read it with figures.drawn(ax)[label]"
                for name in strange
            ]
    return problems


_EVERYWHERE = {*dir(builtins), "np", "figures", "drawn"}


def _shown_texts(tree: ast.AST) -> Iterator[ast.expr]:
    """Titles and descriptions in a cell; where they are named first, what the name is given."""
    given = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        for text in _text_of(node):
            yield given.get(text.id, text) if isinstance(text, ast.Name) else text


def _text_of(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        yield node.value.elts[-1]  # of a function for figures.interactive
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        place = {"show": 1, "set_title": 0, "title": 1, "suptitle": 0}.get(name)
        if place is not None:
            yield from node.args[place : place + 1]
        yield from (word.value for word in node.keywords if word.arg in ("title", "alt"))


def _fields(text: ast.expr) -> set[str]:
    """The names in the fields of an f-string, but those that it binds itself."""
    found: set[str] = set()
    for node in ast.walk(text):
        if isinstance(node, ast.FormattedValue):
            found |= Names(ast.unparse(node.value)).takes
    return found


def _constants(tree: ast.AST) -> set[str]:
    """Names that a cell gives a literal value: settings."""
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_literal(node.value)
        for target in node.targets
        for name in names_in(target, ast.Store)
    }


def _is_literal(node: ast.expr) -> bool:
    allowed = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.UnaryOp, ast.expr_context, ast.USub)
    return all(isinstance(part, allowed) for part in ast.walk(node))


def _read_from(tree: ast.AST, known: set[str]) -> set[str]:
    """Names in a cell that hold what is drawn, or settings, or what follows from these alone."""
    known = known | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}  # dials
    for _ in range(5):  # as deep as names follow from names
        for node in ast.walk(tree):
            pairs = []
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, ast.For | ast.comprehension):
                pairs = [(node.target, node.iter)]
            for target, value in pairs:
                names = names_in(value, ast.Load) - names_in(value, ast.Store)
                reads = any(getattr(part, "attr", "") == "drawn" for part in ast.walk(value))
                if reads or names - _EVERYWHERE <= known:
                    known |= names_in(target, ast.Store)
    return known


# ---- what is written -----------------------------------------------------------------------
def check_cell_lengths(notebook: NotebookNode) -> list[str]:
    """Short cells: none over 20 lines, the median at most 8; no line that a page cannot show."""
    lengths = {where: len(cell.source.splitlines()) for where, cell in code_cells(notebook)}
    problems = [
        f"{where}: {n} lines; at most {MAX_CELL_LINES}"
        for where, n in lengths.items()
        if n > MAX_CELL_LINES
    ]
    if lengths and median(lengths.values()) > MAX_MEDIAN_LINES:
        problems.append(
            f"median code cell has {median(lengths.values())} lines; at most {MAX_MEDIAN_LINES}"
        )
    for where, cell in code_cells(notebook):
        wide = max(map(len, cell.source.splitlines()), default=0)
        if wide > MAX_COLUMNS:
            problems.append(f"{where}: a line of {wide} characters; at most {MAX_COLUMNS}")
    return problems


def check_claims_agree(notebook: NotebookNode) -> list[str]:
    """What a claim or verdict stores in its fields is what a reader sees, and nothing else looks like one."""
    problems = []
    for where, output in outputs(notebook):
        data = output.get("data", {})
        if MIME not in data:
            fakes = [text for text in texts(output) if _LIKE_A_CLAIM.search(text)]
            problems += [
                f"{where}: looks like a claim but is none: {text[:60]!r}" for text in fakes
            ]
        for fields in rows(output):
            what = f"{where}: {fields['kind']} {fields['id']}"
            problems += [
                f"{what}: {value!r} is not in its {mime}"
                for value, mime in _not_shown(fields, data)
            ]
    return problems


def _not_shown(fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for value in _words_of(fields):
        for mime in ("text/plain", "text/html"):
            shown = html.escape(value) if mime == "text/html" else value
            if shown.casefold() not in data.get(mime, "").casefold():
                yield value, mime


def _words_of(fields: Mapping[str, Any]) -> list[str]:
    """What a reader must see of a claim, or of a verdict, with its source's words and ours."""
    if fields["kind"] == "claim":
        return [fields["id"], fields["sentence"], fields["bound"], fields.get("measured") or ""]
    line = ledger.lines().get(fields["id"])
    return [
        fields["id"],
        fields["because"],
        fields["ruling"],
        *([line.quote, line.says] if line else []),
    ]


def check_identities(notebook: NotebookNode) -> list[str]:
    """A chapter shows its identities once, at its end: a claim of one shows nothing by itself."""
    claimed, shown = "", []
    for where, cell in code_cells(notebook):
        for call in _calls(cell.source):
            if _name_of(call) == "identities":
                claimed, shown = "", [*shown, where]
            elif _name_of(call) == "claim" and _is_identity(call):
                claimed = claimed or where
    early = "shows identities that a later call could show; call identities() once, at the end"
    return [
        *(f"{where}: {early}" for where in shown[:-1]),
        *([f"{claimed}: an identity that is not shown; end with identities()"] if claimed else []),
    ]


def check_verdicts(notebook: NotebookNode) -> list[str]:
    """One verdict on a line of the ledger: of two, the first would not be shown."""
    given: dict[str, str] = {}
    problems = []
    for where, cell in code_cells(notebook):
        for call in _calls(cell.source):
            if _name_of(call) == "verdict" and call.args:
                line = ast.unparse(call.args[0])
                if line in given:
                    problems.append(f"{where}: a verdict on {line}, which {given[line]} gives one")
                given[line] = where
    return problems


def _calls(source: str) -> list[ast.Call]:
    """The calls in a cell, in the order of its lines; none, if it is no plain Python."""
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except SyntaxError:
        return []
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def _name_of(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_identity(call: ast.Call) -> bool:
    """Whether a claim's bound, where it is a literal, leaves room for rounding only."""
    literal = {k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
    bound = literal.get("within", literal.get("below"))
    return isinstance(bound, int | float) and 0 < bound <= ROUNDING


CHECKS: tuple[Check, ...] = (
    check_executed,
    check_errors,
    check_stderr,
    check_titles,
    check_plain_python,
    check_nbval_runs_all,
    check_metadata,
    check_values,
    check_folding,
    check_machine,
    check_leftovers,
    check_unfilled,
    check_figures,
    check_numbers,
    check_tables,
    check_summaries,
    check_descriptions,
    check_cell_lengths,
    check_claims_agree,
    check_identities,
    check_verdicts,
)
"""The rules that need nothing but the notebook."""


# ---- rules that need more than the notebook ------------------------------------------------
def check_twins(sources: Path, notebooks: Path) -> list[str]:
    """Every chapter has both its files."""
    written = {path.stem for path in sources.glob("*.py")}
    executed = {path.stem for path in notebooks.glob("*.ipynb")}
    return [
        f"{name}: no executed notebook; run `make notebooks`" for name in sorted(written - executed)
    ] + [f"{name}: no source twin; run `make sync`" for name in sorted(executed - written)]


def check_in_sync(notebook: NotebookNode, source: Path) -> list[str]:
    """The notebook's cells are the source's cells, with numbers in the places of its sentences."""
    if found := sentences.problems(notebook):
        return found
    written = read_source(source)
    try:
        compare_notebooks(
            written, sentences.emptied(notebook), "py:percent", raise_on_first_difference=False
        )
    except NotebookDifference as difference:
        return [f"{source.name} and its notebook differ: {difference}. Edited the source: run `make notebooks`; "
                "edited the notebook: run `make sync`, then `make notebooks`"]  # fmt: skip
    return []


def check_size(path: Path) -> list[str]:
    """A notebook stays small enough to open and to diff."""
    size = path.stat().st_size
    return [f"{path.name} has {size} bytes; at most {MAX_BYTES}"] if size > MAX_BYTES else []
