"""Which names a cell finds and which it binds: what it needs of others, and gives to them."""

import ast

FUNCTIONS = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Names:
    """What a piece of code does with names.

    Attributes:
        takes: names that it must find when it runs.
        later: names that its functions must find when they are called.
        gives: names that it binds.
        changes: names of what it changes in place, as ``x`` in ``x[0] = 1``.
    """

    def __init__(self, code: str) -> None:
        self.takes: set[str] = set()
        self.later: set[str] = set()
        self.gives: set[str] = set()
        self.changes: set[str] = set()
        self.read(ast.parse(code))
        self.later -= self.gives

    def read(self, node: ast.AST) -> None:
        """Go through the code in the order in which it runs."""
        if isinstance(node, ast.Name):
            self._name(node)
        elif isinstance(node, ast.alias):
            self.gives.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, FUNCTIONS):
            self.later |= taken_inside(node)
            self.gives |= {node.name} if hasattr(node, "name") else set()
        elif isinstance(node, COMPREHENSIONS):
            self.takes |= taken_inside(node) - self.gives
        else:
            self._statement(node)

    def _name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.takes |= {node.id} - self.gives
        else:
            self.gives.add(node.id)

    def _statement(self, node: ast.AST) -> None:
        if isinstance(node, ast.AugAssign):
            self.takes |= names_in(node.target) - self.gives
        if isinstance(node, ast.Subscript | ast.Attribute) and _is_changed(node):
            self.changes |= names_in(node.value)
        for part in in_order(node):
            self.read(part)


def _is_changed(place: ast.Subscript | ast.Attribute) -> bool:
    return not isinstance(place.ctx, ast.Load)


def in_order(node: ast.AST) -> list[ast.AST]:
    """The parts of a statement: what it computes before what it binds."""
    first = {ast.Assign: "value", ast.AugAssign: "value", ast.For: "iter"}.get(type(node))
    parts = [*ast.iter_child_nodes(node)]
    return sorted(parts, key=lambda part: part is not getattr(node, first)) if first else parts


def names_in(node: ast.AST, context: type[ast.AST] = ast.expr_context) -> set[str]:
    """Names anywhere in the code, or those that it loads or stores."""
    found = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    return {part.id for part in found if isinstance(part.ctx, context)}


def taken_inside(scope: ast.AST) -> set[str]:
    """What a function, class or comprehension takes from outside."""
    parts = list(ast.walk(scope))
    bound = names_in(scope, ast.Store)
    bound |= {part.arg for part in parts if isinstance(part, ast.arg)}
    bound |= {part.name for part in parts if isinstance(part, ast.FunctionDef | ast.ClassDef)}
    return names_in(scope, ast.Load) - bound
