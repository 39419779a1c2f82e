"""The command line: one file a command, listed in `COMMANDS`; `bench` is a group of its own.

Results go to stdout, everything else to stderr. Bad input ends with one sentence and never with a traceback. Exit
codes: 0 done (`verify`: match), 1 failed (`verify`: proven divergence), 2 inconclusive, or trouble of the machine
(memory, files, streams, processes), 64 usage (an unknown or invalid scenario, input, model spec or option, or a file
that would be overwritten), 130 interrupted.
"""

from __future__ import annotations

import re
import sys
from bdb import BdbQuit
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from ai.errors import AIError
from sim.cli.common import FAILED, INTERRUPTED, OK, TROUBLE, USAGE, ExitError
from sim.cli.examples import epilog
from sim.cli.logs import warnings_only
from sim.cli.terminal import give_up, occupy_standard_files, standard_streams
from sim.errors import FileExists, MachineError, ScenarioError, SimError, Unsupported
from sim.messages import one_line
from sim.run.faults import fault_of, trouble_of

COMMANDS: Final = {
    "run": "run",
    "verify": "verify",
    "show": "show",
    "diff": "show",
    "export": "export",
    "plot": "plot",
    "view": "view",
    "fork": "fork",
    "bundle": "bundle",
    "minimise": "minimise",
    "recover": "recover",
    "pack": "pack",
    "unpack": "pack",
    "scenarios": "scenarios",
    "check": "check",
    "new": "new",
    "doctor": "doctor",
    "versus": "versus",
    "sweep": "sweep",
    "estimate": "estimate",
    "fake-llm": "fake_llm",
    "bench": "bench",
}
"""Every command in the order of the help page, with its module in this package; `bench` is a group of its own."""


class _Commands(TyperGroup):
    """Imports the module of a command when the command is used, so that no command waits for the imports of others."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment] # names only, until one is used

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, or None."""
        if cmd_name in COMMANDS and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _command(cmd_name)
        return super().get_command(ctx, cmd_name)


def _command(name: str) -> Any:
    module = import_module(f"sim.cli.{COMMANDS[name]}")
    group = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        group.command(name, epilog=epilog(name))(getattr(module, name.replace("-", "_")))
    return typer.main.get_command(group)


app = typer.Typer(
    name="tickweave",
    cls=_Commands,
    help="Headless, deterministic simulations whose agents plan with a language model or by rules.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    occupy_standard_files()
    code = invoke(args)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            give_up(stream)  # `invoke` has already reported it
    sys.exit(code)


def invoke(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; an error that the user can fix gets one sentence.

    A failure of standard output is trouble only if nothing else went wrong, and not if its reader has gone.
    """
    with standard_streams() as (out, _), warnings_only():
        code = _invoke(args)
        out.flush()
        if code == OK and out.error is not None and not isinstance(out.error, BrokenPipeError):
            return _fail(f"standard output cannot be written: {out.error.strerror or out.error}", TROUBLE)
        return code


def _invoke(args: Sequence[str] | None) -> int:
    try:
        words = sys.argv[1:] if args is None else list(args)
        if words[:1] == ["help"]:
            words = [*words[1:], "--help"]
        returned = app(args=words, prog_name="tickweave", standalone_mode=False)
    except ExitError as error:
        return _fail(str(error), error.code)
    except ScenarioError as error:
        return _fail(fault_of(error) or str(error), USAGE)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error.format_message()}\n")
            return USAGE
        said = error.format_message().replace("Value error, ", "")  # newer releases of typer speak as pydantic does
        return _fail(re.sub(", unable to parse .*", "", said.replace("Input should be", "it must be")), USAGE)
    except FileExists as error:
        return _fail(str(error), USAGE)
    except (MachineError, Unsupported) as error:
        return _fail(str(error), TROUBLE)
    except (SimError, AIError) as error:
        return _fail(fault_of(error) or str(error), FAILED)
    except (OSError, MemoryError) as error:
        return _fail(trouble_of(error), TROUBLE)
    except (Exception, SystemExit) as error:  # a model may call sys.exit()
        sentence = fault_of(error)
        if isinstance(error, BdbQuit):
            return _fail("the debugger was left; a recording has the ticks before", INTERRUPTED)
        if sentence is None:
            raise  # a fault of ours: its report needs the traceback
        return _fail(sentence, FAILED)
    if returned == INTERRUPTED:  # typer returns this after a Ctrl-C that no command caught
        return _fail("interrupted", INTERRUPTED)
    return returned if isinstance(returned, int) else OK


def _fail(message: str, code: int) -> int:
    """Write the reason on stderr, in one line."""
    sys.stderr.write(f"tickweave: {one_line(message)}\n")
    return code


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it
    if asked:
        sys.stdout.write(f"tickweave {version('tickweave')}\n")
        raise typer.Exit


@app.callback()
def _common(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Headless, deterministic simulations whose agents plan with a language model or by rules."""
