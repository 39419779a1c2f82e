"""Python code that a run brings along: local files and installed modules, each with a digest of its source.

A local file is compiled from the very bytes that were hashed, and every load is a module of its own, so two files of
one name in different folders never meet, and no byte-compiled copy is ever read. Of an installed package all Python
files count.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ai.entries import installed
from ai.errors import ContractError
from sim.errors import ScenarioError
from sim.messages import error_text, one_line, quoted, shown, suggestion
from sim.run.files import read_bytes

_DIGEST_BYTES: Final = 8
_INSTALLED: Final = tuple(
    {*sysconfig.get_paths().values(), *site.getsitepackages(), str(Path(__file__).parents[2] / "ai")}
    | {str(Path(__file__).parents[2] / part) for part in ("sim", "scenarios")}
)
"""Where installed modules stand, ours among them."""
_loads = itertools.count(1)


def digest_of(*parts: bytes) -> str:
    """Return sixteen hex digits over source code."""
    state = hashlib.blake2b(digest_size=_DIGEST_BYTES, person=b"tickweave-plug")
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()


def load_file(path: Path, what: str) -> tuple[ModuleType, str]:
    """Execute a Python file as a module of its own; return it and the digest of the bytes that were executed.

    Modules that it imports and that belong to no installed package count too.

    Raises:
        ScenarioError: the file cannot be read.
        ContractError: it cannot be executed; the sentence names file and line.
    """
    source = read_bytes(path)
    where = shown(str(path))
    stem = re.sub(r"\W", "_", path.stem)
    module = ModuleType(f"tickweave_local_{stem}_{next(_loads)}")
    module.__file__ = str(path.absolute())
    # Dataclasses and pydantic look annotations up in the module by name.
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - that is the task
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise ContractError(one_line(f"{what} {where} cannot be loaded: {_where(error, path)}")) from error
    return module, digest_of(source, *_helpers(source, {path.absolute()}))


def load_installed(group: str, name: str, what: str) -> tuple[Any, str, str]:
    """Import what an entry point names; return it, the digest of all Python files of its package, and its place.

    Raises:
        ScenarioError: there is none of that name in the group.
        ContractError: it cannot be imported; the sentence names it.
    """
    points = {point.name: point for point in installed(group)}
    if name not in points:
        hint = suggestion(name, sorted(points), f"installed {what}s")
        raise ScenarioError(f"no {what} {quoted(name)} is installed; {hint}; the name of a file ends in .py")
    point = points[name]
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        raise ContractError(one_line(f"{what} {name} = {point.value} cannot be loaded: {error!r}")) from error
    return found, source_digest(point.module), point.value


def _helpers(source: bytes, seen: set[Path]) -> list[bytes]:
    """Return the sources of the modules that a source imports and that stand in no installed package."""
    found: list[bytes] = []
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = getattr(sys.modules.get(name), "__file__", None)
            if file is None or not file.endswith(".py") or file.startswith(_INSTALLED) or Path(file) in seen:
                continue
            seen.add(Path(file))
            helper = read_bytes(file)
            found += [name.encode(), helper, *_helpers(helper, seen)]
    return found


@cache
def source_digest(module: str) -> str:
    """Return the digest of the source of an imported module: of all Python files of its package, or of its one file."""
    package = sys.modules[module]
    file = getattr(package, "__file__", None)
    if file is None:
        return digest_of(module.encode())
    parent = module.rpartition(".")[0]
    folder = Path(file).parent if Path(file).stem == "__init__" or parent else None
    if folder is None:
        return digest_of(Path(file).read_bytes())
    files = sorted(path for path in folder.rglob("*.py"))
    return digest_of(*(part for path in files for part in (str(path.relative_to(folder)).encode(), path.read_bytes())))


def _where(error: BaseException, path: Path) -> str:
    """Return an exception of foreign code as words: type, message, and the last line of the file it came from."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path.absolute()):
            line = trace.tb_lineno
        trace = trace.tb_next
    message = f"SyntaxError: {error.msg}" if isinstance(error, SyntaxError) else error_text(error)
    if isinstance(error, ModuleNotFoundError) and error.name and path.with_name(f"{error.name}.py").is_file():
        message += f"; a local file is loaded alone: put what it needs of {error.name}.py into it, or install a package"
    return f"line {line}: {message}" if line else message
