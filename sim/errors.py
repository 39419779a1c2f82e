"""The errors of the simulation side, one tree.

```
SimError
├── WorldError        a rule of the world was broken: declaration, key, range, thread, context
├── ScenarioError     a scenario cannot be loaded or does not hold together
├── FileExists        a file exists already and may not be replaced
├── MachineError      memory, files, streams or processes of the machine are in trouble; says nothing about a run
│   ├── MissingExtra  an optional package is not installed
│   ├── InUse         another process is writing the file
│   └── WorkerError   a process that shared the work ended before it was done
└── ReplayError       a replay cannot be trusted or does not match
    ├── Incomplete    the end record is missing: a killed run left a valid prefix
    ├── Corrupt       bytes were changed: the chain or the text is broken
    ├── Diverged      the run was repeated and is not the same
    └── Unsupported   another format, domain or environment: nothing can be said
```

Messages name the thing, its place and what to do.
"""

from __future__ import annotations


class SimError(Exception):
    """Catches every error that this side raises on purpose."""


class WorldError(SimError):
    """A rule of the world was broken; the world is as it was before the call."""


class ScenarioError(SimError):
    """A scenario cannot be loaded or does not hold together."""


class FileExists(SimError):  # noqa: N818 - a fact about a name
    """A file exists already and may not be replaced."""


class MachineError(SimError):
    """Memory, files, streams or processes of the machine are in trouble; that says nothing about a run."""


class MissingExtra(MachineError):  # noqa: N818 - a fact about a package
    """An optional package is not installed; the message says which extra brings it."""


class InUse(MachineError):  # noqa: N818 - a fact about a file
    """Another process is writing the file."""


class WorkerError(MachineError):
    """A process that shared the work ended before it was done: killed, out of memory, or not able to start."""


class ReplayError(SimError):
    """A replay cannot be read, trusted or matched."""


class Incomplete(ReplayError):  # noqa: N818 - a verdict's name
    """The end record is missing; the lines before are a valid prefix."""


class Corrupt(ReplayError):  # noqa: N818 - a verdict's name
    """Bytes of the replay were changed after it was written."""


class Diverged(ReplayError):  # noqa: N818 - a verdict's name
    """The run was repeated under the same conditions and is not the same, so that there is no state to hand out.

    Only going to a tick raises it; `verify` answers with a verdict instead.
    """


class Unsupported(ReplayError):  # noqa: N818 - a verdict's name
    """The replay needs another format version, domain or environment."""


def short(value: object) -> str:
    """Return a value as an error shows it: on one line, of at most 40 characters."""
    return f"{' '.join(repr(value).split()):.40}"


def no_array(values: object, label: str) -> WorldError:
    """Return the error for values of which NumPy makes no array, such as lists of different lengths."""
    return WorldError(f"{label}: {short(values)} is not an array of numbers")
