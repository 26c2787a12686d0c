"""Which cells a reader finds folded: those that say or draw what other cells have computed.

A cell is folded if it holds claims, verdicts and calls that show them only, besides assignments
that pick a part of a result for them; or if it ends in a picture and no later cell needs what it
binds. Mathematics stays in sight. A writer who wants it otherwise gives a cell the tag
show-input or hide-input.

Folded cells have the tag hide-input, which the HTML book knows, and ``jupyter.source_hidden``,
which JupyterLab knows. Both are put into notebooks; a source holds only what its writer chose.
"""

import ast
from collections.abc import Iterable, Sequence

from nbformat import NotebookNode

from book.names import Names

HIDE, SHOW = "hide-input", "show-input"
SAYS = ("claim", "verdict", "identities", "verdicts")
DRAWS = ("show", "interactive")


def fold(notebook: NotebookNode) -> NotebookNode:
    """Fold a notebook's cells in place; return it."""
    cells = _code_cells(notebook)
    for cell, ruled in zip(cells, folded([cell.source for cell in cells]), strict=True):
        cell.metadata.pop("jupyter", None)
        tags = _tags(cell)
        if HIDE in tags or (ruled and SHOW not in tags):
            cell.metadata["tags"] = tags if HIDE in tags else [*tags, HIDE]
            cell.metadata["jupyter"] = {"source_hidden": True}
    return notebook


def unfold(notebook: NotebookNode) -> NotebookNode:
    """Take from a notebook's cells, in place, what ``fold`` gives them again; return it."""
    cells = _code_cells(notebook)
    for cell, ruled in zip(cells, folded([cell.source for cell in cells]), strict=True):
        cell.metadata.pop("jupyter", None)
        if ruled and HIDE in _tags(cell):
            cell.metadata["tags"] = [tag for tag in _tags(cell) if tag != HIDE]
            if not cell.metadata["tags"]:
                del cell.metadata["tags"]
    return notebook


def folded(sources: Sequence[str]) -> list[bool]:
    """Whether the rule folds each of a chapter's code cells, whatever tags they have."""
    names = [Names(source) if _statements(source) else Names("") for source in sources]
    return [
        _says(_statements(source)) or _only_draws(source, names[number:])
        for number, source in enumerate(sources)
    ]


def _only_draws(source: str, names: Sequence[Names]) -> bool:
    """Whether a cell draws and no later one needs what it binds; its own names stand first."""
    statements = _statements(source)
    draws = bool(statements) and _calls(statements[-1], DRAWS)
    return draws and not _needed(names[0], names[1:])


def _says(statements: Sequence[ast.stmt]) -> bool:
    """Whether code makes claims and does nothing else."""
    flat = [*_flat(statements)]
    claims = [statement for statement in flat if _calls(statement, SAYS)]
    rest = [statement for statement in flat if statement not in claims]
    return bool(claims) and all(map(_picks, rest))


def _flat(statements: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Statements, and in place of a for loop those in it."""
    for statement in statements:
        if isinstance(statement, ast.For) and not statement.orelse:
            yield from _flat(statement.body)
        else:
            yield statement


def _calls(statement: ast.stmt, names: Sequence[str]) -> bool:
    """Whether a statement is a call of one of these functions, perhaps of a module's."""
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    function = statement.value.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.value.id in ("claims", "figures") and function.attr in names
    return isinstance(function, ast.Name) and function.id in names


def _picks(statement: ast.stmt) -> bool:
    """Whether a statement assigns without computing: no arithmetic, no call, no comparison."""
    computes = (ast.BinOp, ast.Call, ast.Compare, ast.comprehension, ast.Lambda)
    parts = [*ast.walk(statement)]
    return isinstance(statement, ast.Assign) and not any(isinstance(p, computes) for p in parts)


def _needed(own: Names, later: Iterable[Names]) -> bool:
    """Whether one of the later cells needs what this one binds or changes."""
    left = own.gives | own.changes
    for other in later:
        if left & (other.takes | other.later):
            return True
        left -= other.gives
    return False


def _statements(source: str) -> list[ast.stmt]:
    """A cell's statements; none, if it is no plain Python."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _tags(cell: NotebookNode) -> list[str]:
    return [*cell.metadata.get("tags", [])]
