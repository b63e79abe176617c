"""The magic itself: finds the subcommand, parses, runs it, hands the result to IPython."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from IPython.display import display

from workbench import api
from workbench.capture import split_cell
from workbench.errors import InputError, WorkbenchUsageError
from workbench.magics import (
    bench,
    debug,
    deliver,
    files,
    infer,
    inspect,
    lint,
    logs,
    push,
    replay,
    require,
    serve,
    servers,
    services,
    shm,
    trace,
)
from workbench.magics.arguments import Command, overview, split
from workbench.magics.elsewhere import run_elsewhere
from workbench.magics.progress import progress
from workbench.suggest import did_you_mean, listing
from workbench.targets.live import LiveTarget

__all__ = ["COMMANDS", "Call", "TritonMagics", "perform"]

COMMANDS: dict[str, Command] = {
    each.name: each
    for module in (
        serve,
        files,
        infer,
        replay,
        debug,
        bench,
        lint,
        logs,
        inspect,
        deliver,
        servers,
        push,
        services,
        require,
        shm,
        trace,
    )
    for each in module.COMMANDS
}


@dataclass(frozen=True)
class Call:
    """One use of the magic, for a subcommand to act on."""

    shell: Any
    target: LiveTarget
    arguments: argparse.Namespace
    line: str  # as the user wrote it, without "%%triton "
    body: str | None  # None for the line form

    @property
    def cell_label(self) -> str:
        """``Cell In[2]``: the cell that is running."""
        # Not execution_count: versions of IPython differ in when they raise it.
        number = len(self.shell.history_manager.input_hist_raw) - 1
        return f"Cell In[{number}]" if self._holds_this(self._last_input) else "cell"

    @property
    def raw_cell(self) -> str:
        """The whole text of the running cell; "" if the shell knows it neither from its history nor from the
        front end's message.
        """
        texts = (self._last_input, _requested(self.shell))
        return next((text for text in texts if self._holds_this(text)), "")

    @property
    def _last_input(self) -> str:
        return str((self.shell.history_manager.input_hist_raw or [""])[-1])

    def _holds_this(self, text: str) -> bool:
        """Whether this use of the magic stands in the text."""
        here = (
            self.line.split("\n", 1)[0] if self.body is None else self.body.rstrip("\n").rsplit("\n", 1)[-1]
        )
        return bool(text) and here in text

    @property
    def leading_lines(self) -> int:
        """Blank lines above the magic: IPython drops them, the notebook counts them."""
        lines = self.raw_cell.split("\n")
        first = next((number for number, each in enumerate(lines) if each.strip()), 0)
        return first if lines[first].startswith("%%triton") else 0

    @property
    def is_dropped(self) -> bool:
        """Whether IPython drops what this line gives: it stands alone, and not at the end of its cell."""
        lines = [each for each in self.raw_cell.split("\n") if each.strip() and not each.startswith("#")]
        return (
            self.body is None
            and bool(lines)
            and self.line not in lines[-1]
            and any(each.startswith("%triton") and self.line in each for each in lines)
        )

    def value(self, name: str, expression: str) -> Any:
        """An expression's value in the notebook. ``np`` is NumPy unless the notebook says otherwise.

        Raises:
            InputError: it cannot be evaluated.
        """
        namespace = {"np": np, **self.shell.user_ns}
        try:
            # The user's own expression, in the user's own namespace, as if typed into a cell.
            return eval(compile(expression.strip(), f"<{name}>", "eval"), namespace)  # noqa: S307
        except Exception as error:
            raise InputError(
                f"{name}: {type(error).__name__}: {getattr(error, 'msg', None) or error}",
                hint="expressions are Python; quote one that has blanks or quotes in it: "
                + f'{name}=\'["a", "b"]\'',
            ) from None


def _requested(shell: Any) -> str:
    """The text that a front end asked to run; "" outside a kernel. Runs without history have nothing else."""
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return str(parent.get("content", {}).get("code", ""))


def perform(command: Command, call: Call) -> Any:
    """Run a subcommand where its ``--on`` says."""
    return command.run(call) if call.arguments.on == "live" else run_elsewhere(call)


@magics_class
class TritonMagics(Magics):  # type: ignore[misc]
    """Registers ``%triton`` and ``%%triton``."""

    @no_var_expand  # type: ignore[untyped-decorator]  # {x} is Python here; an undefined name must be an error
    @line_cell_magic  # type: ignore[untyped-decorator]
    def triton(self, line: str, cell: str | None = None) -> Any:
        body = cell
        if cell is not None:
            line, body = split_cell(line, cell)
        silent = line.rstrip().endswith(";")
        words = split(line.rstrip().removesuffix(";") if silent else line)
        if not words or words[0] in ("-h", "--help", "help"):
            return overview(COMMANDS)
        command = COMMANDS.get(words[0])
        if command is None:
            raise WorkbenchUsageError(
                f"unknown subcommand {words[0]!r}{did_you_mean(words[0], COMMANDS)}", hint=listing(COMMANDS)
            )
        arguments = command.parser().read(words[1:])
        if arguments.help:
            return command.help()
        form = "line" if cell is None else "cell"
        if form not in command.forms:
            other = "%%triton" if form == "line" else "%triton"
            raise WorkbenchUsageError(
                f"{command.name} is a {command.forms[0]} magic", hint=f"write {other} {command.name} ..."
            )
        call = Call(self.shell, api.live(), arguments, line, body)
        # A debugger's prompt is sign of life enough, and a line that moves would be in its way.
        quiet = bool(call.target.workbench.debugger.attached)
        with progress(self.shell, " ".join([command.name, *words[1:2]]), wanted=not quiet):
            result = perform(command, call)
        if arguments.output:
            if not arguments.output.isidentifier():
                raise WorkbenchUsageError(f"-o takes a variable's name, got {arguments.output!r}")
            self.shell.user_ns[arguments.output] = result
        if arguments.view:
            return open_view(command.name, result)
        if silent or arguments.quiet:
            return None
        if getattr(arguments, "this_cell", False) and call.is_dropped:
            display(result)  # the line is the first of its cell by design
        return result


def open_view(name: str, result: Any) -> None:
    """Display a result's widget. Raises WorkbenchUsageError for one that has none."""
    view = getattr(result, "view", None)
    if not callable(view):
        raise WorkbenchUsageError(f"{name} has no view", hint=f"leave --view out of %triton {name}")
    view()


TritonMagics.triton.__doc__ = repr(overview(COMMANDS))
