"""The sources of domains: a name under the entry point group `tickweave.domains`, or a local Python file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ai.entries import installed
from ai.errors import ContractError
from sim.errors import ScenarioError
from sim.messages import one_line, quoted, shown
from sim.run.domain import Domain
from sim.run.modules import load_file, load_installed, source_digest

ENTRY_POINTS: Final = "tickweave.domains"
"""Entry point group of domains: each names a subclass of `Domain`. The shipped domains use it too."""


@dataclass(frozen=True, slots=True)
class LoadedDomain:
    """A domain, its name in scenarios, the digest of its source, and the folder of a local one."""

    kind: type[Domain]
    name: str
    digest: str
    folder: Path | None = None


def find_domain(name: str, folder: Path | None = None, files: tuple[Path, ...] = ()) -> LoadedDomain:
    """Return a domain by the name that a scenario gives.

    Args:
        name: the name of an installed domain, or of a Python file (`wealth.py`).
        folder: the folder of the file, unless `files` has a file of that name.
        files: files of domains and plug-ins, for runs whose scenario has no folder; folders count for nothing.

    Raises:
        ScenarioError: there is no such domain; the message is one sentence with advice.
        ContractError: it cannot be loaded, or is not a domain.
    """
    if not name.endswith(".py"):
        return _installed(name)
    given = {path.name: path for path in files if not path.is_dir()}
    if Path(name).name in given:
        return domain_file(given[Path(name).name], name)
    if folder is None:
        raise ScenarioError(f"needs the domain {quoted(name)}; say where it is with --plugin {shown(name)}")
    return domain_file(folder / name, name)


def available_domains() -> tuple[str, ...]:
    """Return the names of the installed domains, in name order."""
    return tuple(sorted({point.name for point in installed(ENTRY_POINTS)}))


def domain_file(path: Path, name: str | None = None) -> LoadedDomain:
    """Load the one domain that a Python file defines.

    Raises:
        ScenarioError: the file cannot be read.
        ContractError: it cannot be executed, or does not define exactly one domain.
    """
    module, digest = load_file(path, "domain")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Domain) and value.__module__ == module.__name__
    ]
    # A domain that another one in the file extends does not count.
    kinds = [kind for kind in own if not any(other is not kind and issubclass(other, kind) for other in own)]
    if len(kinds) != 1:
        found = ", ".join(kind.__name__ for kind in kinds) or "none"
        raise ContractError(one_line(f"{shown(str(path))}: should define one Domain; it defines {found}"))
    return LoadedDomain(kinds[0], name or path.name, digest, path.parent)


_in_use: dict[str, LoadedDomain] = {}


def loaded(kind: type[Domain]) -> LoadedDomain:
    """Return a domain class that Python code passes; from then on this process also finds it by name."""
    found = LoadedDomain(kind, kind.name, source_digest(kind.__module__))
    _in_use[kind.name] = found
    return found


def _installed(name: str) -> LoadedDomain:
    if name in _in_use and name not in available_domains():
        return _in_use[name]
    kind, digest, where = load_installed(ENTRY_POINTS, name, "domain")
    if not (isinstance(kind, type) and issubclass(kind, Domain)):
        raise ContractError(f"entry point {where!r} of {ENTRY_POINTS} is not a subclass of Domain")
    return LoadedDomain(kind, name, digest)
