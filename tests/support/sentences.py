"""The sentences that a module or a function can say, read from its source, with `{}` for what is filled in."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType

Source = ModuleType | FunctionType


def returned(source: Source) -> set[str]:
    """Return the sentences that the functions of a module return, those that answer `str | None`."""
    found: set[str] = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) == "str | None":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    found.update(_texts(inner.value))
    return found


def handed(source: Source, function: str) -> set[str]:
    """Return the sentences that a module or a function hands to another function, as its last argument.

    What a call hands on that is not text (a name, another call) is left out: it was made elsewhere.
    """
    return {
        text
        for node in ast.walk(_parsed(source))
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).rpartition(".")[2] == function
        for text in _texts(node.args[-1])
    }


def said_by(sentence: str, templates: Iterable[str]) -> str | None:
    """Return the template that a sentence was made from, the one with most text of its own; None if there is none."""
    fitting = [template for template in templates if re.fullmatch(_pattern(template), sentence, re.DOTALL)]
    return max(fitting, key=lambda template: (len(template.replace("{}", "")), template.find("{}")), default=None)


def _parsed(source: Source) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(source)))


def _texts(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may come to: literals, either side of an `if`, what `one_line` is given."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=parts):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
            if re.search("[a-z]", text):  # what is only filled in was said elsewhere
                yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)
        case ast.Call(func=ast.Name(id="one_line"), args=[inner]):
            yield from _texts(inner)
        case _:
            return


def _pattern(template: str) -> str:
    return ".*".join(re.escape(part) for part in template.split("{}"))
