"""The API page: every public name of l2lib with its description; and links to it from the text."""

import inspect
import pkgutil
import re
from functools import cache
from importlib import import_module
from types import ModuleType

from docutils import nodes
from numpy.typing import ArrayLike
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import stringify_annotation

import l2lib

SECTION = """## {name}

```{{eval-rst}}
.. automodule:: {name}
   :members:
   :special-members: __call__
   :member-order: bysource
```
"""
ALIASES = {
    re.escape(stringify_annotation(ArrayLike, "smart")): "ArrayLike",
    r"~numpy\.ndarray\[tuple\[[^]]*\], ~numpy\.dtype\[~numpy\.(\w+)\]\]": r"NDArray[\1]",
}
QUOTED = re.compile(r"""(?<!`)(\{[^{}`]*"[^{}`]*\}|"[\w.*-]+")(?!`)""")
HELD = (nodes.title, nodes.reference, addnodes.pending_xref)
"""What a name inside is not linked from."""


def modules() -> list[ModuleType]:
    """The modules of l2lib, and its packages as one module each."""
    names = [module.name for module in pkgutil.iter_modules(l2lib.__path__, "l2lib.")]
    names.insert(names.index("l2lib.sweep") + 1, "l2lib.sweep.updates")  # what optimisers do
    return [import_module(name) for name in names if "._" not in name]


def public(module: ModuleType) -> list[str]:
    """A module's public names: ``__all__``, or the functions and classes it defines."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return sorted(
        name
        for name, value in vars(module).items()
        if _is_code(value) and not name.startswith("_") and value.__module__ == module.__name__
    )


def _is_code(value: object) -> bool:
    return inspect.isroutine(value) or inspect.isclass(value)


def undocumented(module: ModuleType) -> list[str]:
    """Public names without a description, which the page would leave out."""
    comments = {name for _, name in ModuleAnalyzer.for_module(module.__name__).find_attr_docs()}
    return [name for name in public(module) if not _described(module, name, comments)]


def _described(module: ModuleType, name: str, comments: set[str]) -> bool:
    value = getattr(module, name)
    if _is_code(value):
        return bool(inspect.cleandoc(value.__doc__ or ""))
    return name in comments


def page() -> str:
    """What the API page holds, in Markdown."""
    return "\n".join(SECTION.format(name=module.__name__) for module in modules())


@cache
def targets() -> dict[str, str]:
    """What the text may call a name of l2lib, and the name in full.

    ``sweep.sweep`` and ``param_groups`` are found, but not ``sweep`` alone: a plain word in code
    is often something else. A word that two modules have is not found either.

    Returns:
        Names in full, by what they may be called.
    """
    full: dict[str, str] = {}
    short: dict[str, list[str]] = {}
    for module in modules():
        full[module.__name__] = module.__name__
        last = module.__name__.removeprefix("l2lib.")
        for name in public(module):
            target = f"{module.__name__}.{name}"
            full |= {target: target, f"{last}.{name}": target}
            short.setdefault(name, []).append(target)
    single = {name: found[0] for name, found in short.items() if "_" in name and len(found) == 1}
    return single | full


def shorten(
    app: Sphinx, what: str, name: str, value: object, options: object, *written: str | None
) -> tuple[str, str | None] | None:
    """Give NumPy's aliases their names in a signature; autodoc spells out what they stand for."""
    signature, result = written
    if getattr(value, "_is_protocol", False):
        return "", None
    for spelt_out, alias in ALIASES.items():
        signature = re.sub(spelt_out, alias, signature) if signature else None
        result = re.sub(spelt_out, alias, result) if result else None
    return (signature, result) if signature else None


def mark_code(app: Sphinx, *described: object) -> None:
    """Mark words in straight quotes, as "sgd", as the code that they are; else they are curled."""
    lines = described[-1]
    assert isinstance(lines, list)
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = QUOTED.sub(r"``\1``", line)
    for number in [at for at, line in enumerate(lines) if line.strip() in ("Returns:", "Yields:")]:
        lines[number + 1 : number + 2] = _without_type(lines[number + 1])


def _without_type(line: str) -> list[str]:
    """A section's first line in two, if it has a colon: what stands before it would be a type."""
    before, colon, after = line.partition(":")
    words, _, last = before.rpartition(" ")
    if not colon or not words.strip():
        return [line]
    return [words, f"{line[: len(line) - len(line.lstrip())]}{last}{colon}{after}"]


def leave_out(app: Sphinx, what: str, name: str, value: object, *more: object) -> bool | None:
    """Leave the fields of a named tuple to its description, which says more than their numbers."""
    return True if type(value).__name__ == "_tuplegetter" else None


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Make each piece of code that is a name of l2lib a link to its description."""
    for node in list(doctree.findall(nodes.literal)):
        target = targets().get(node.astext().removesuffix("()"))
        if target and not any(isinstance(each, HELD) for each in _around(node)):
            link = addnodes.pending_xref(
                "",
                refdomain="py",
                reftype="obj",
                reftarget=target,
                refexplicit=True,
                refwarn=False,
                refdoc=app.env.current_document.docname,
            )
            node.replace_self(link)
            link += node


def _around(node: nodes.Node) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    parent = node.parent
    while parent is not None:
        found.append(parent)
        parent = parent.parent
    return found
