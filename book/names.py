"""Which names a cell finds and which it binds: what it needs of the cells before it, and gives to those after."""

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
        self.takes, self.later, self.gives, self.changes = set[str](), set[str](), set[str](), set[str]()
        self.read(ast.parse(code))
        self.later -= self.gives

    def read(self, node: ast.AST) -> None:
        """Go through the code in the order in which it runs."""
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self.takes |= {node.id} - self.gives
            else:
                self.gives.add(node.id)
        elif isinstance(node, ast.alias):
            self.gives.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, FUNCTIONS):
            self.later |= taken_inside(node)
            self.gives |= set() if isinstance(node, ast.Lambda) else {node.name}
        elif isinstance(node, COMPREHENSIONS):
            self.takes |= taken_inside(node) - self.gives
        else:
            if isinstance(node, ast.AugAssign):
                self.takes |= names_in(node.target) - self.gives
            if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
                self.changes |= names_in(node.value)
            for part in in_order(node):
                self.read(part)


def in_order(node: ast.AST) -> list[ast.AST]:
    """The parts of a statement: what it computes before what it binds."""
    first = {ast.Assign: "value", ast.AugAssign: "value", ast.For: "iter"}.get(type(node))
    parts = [*ast.iter_child_nodes(node)]
    return sorted(parts, key=lambda part: part is not getattr(node, first)) if first else parts


def names_in(node: ast.AST, context: type[ast.AST] = ast.expr_context) -> set[str]:
    """Names anywhere in the code, or those that it loads or stores."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, context)}


def taken_inside(scope: ast.AST) -> set[str]:
    """What a function, class or comprehension takes from outside."""
    bound = names_in(scope, ast.Store) | {part.arg for part in ast.walk(scope) if isinstance(part, ast.arg)}
    bound |= {part.name for part in ast.walk(scope) if isinstance(part, ast.FunctionDef | ast.ClassDef)}
    return names_in(scope, ast.Load) - bound
