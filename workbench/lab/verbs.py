"""The verbs that a front end may ask for: each is a line of ``%triton``, run as if typed into a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from workbench import api
from workbench.errors import WorkbenchUsageError
from workbench.magics.triton import COMMANDS, Call, perform
from workbench.suggest import did_you_mean

__all__ = ["Verbs"]


class _Arguments:
    """The arguments of one verb, read with their types checked."""

    def __init__(self, verb: str, given: dict[str, Any]) -> None:
        self._verb = verb
        self._given = given

    def text(self, name: str, *, optional: bool = False) -> str:
        value = self._given.get(name)
        if optional and value in (None, ""):
            return ""
        # A leading dash would be read as an option.
        if not isinstance(value, str) or not value or value.startswith("-"):
            raise WorkbenchUsageError(f"{self._verb} needs {name}, a text; got {value!r}")
        return value

    def flag(self, name: str, option: str) -> list[str]:
        return [option] if self._given.get(name) is True else []

    def option(self, name: str, option: str) -> list[str]:
        value = self.text(name, optional=True)
        return [option, value] if value else []

    def pairs(self, name: str, option: str) -> list[str]:
        value = self._given.get(name) or {}
        if not isinstance(value, dict):
            raise WorkbenchUsageError(f"{self._verb} needs {name}, a dict; got {value!r}")
        words = [f"{key}={each}" for key, each in value.items()]
        if any(word.startswith("-") for word in words):
            raise WorkbenchUsageError(f"{self._verb}: {name} cannot begin with a dash")
        return [option, *words] if words else []


Words = Callable[[_Arguments], list[str]]

_LINES: dict[str, Words] = {
    "replay": lambda given: ["replay", given.text("model")],
    "replay_error": lambda given: ["replay", given.text("model"), "--last-error"],
    "lint": lambda given: ["lint", given.text("model")],
    "unload": lambda given: ["unload", given.text("model")],
    "push": lambda given: [
        *("push", given.text("model"), "--to", given.text("server")),
        *given.flag("yes", "--yes"),
    ],
    "rollback": lambda given: [
        *("rollback", given.text("model"), "--on", given.text("server")),
        *given.flag("yes", "--yes"),
    ],
    "parity": lambda given: ["parity", given.text("model"), "--against", given.text("against"), "--report"],
    "export": lambda given: [
        *("export", given.text("model"), given.text("dir")),
        *given.option("release", "--for"),
        *given.flag("stub", "--stub"),
    ],
    "verify": lambda given: ["verify", given.text("dir")],
    "connect": lambda given: [
        *("connect", given.text("url"), "--as", given.text("name")),
        *given.pairs("header_env", "--header-env"),
        *given.flag("protect", "--protect"),
    ],
    "reset": lambda given: ["reset"],
    "shm_clean": lambda given: ["shm", "--orphans", "--clean"],
    # Not the prompt: nobody would see it.
    "debug": lambda given: ["debug", given.text("model"), "--port", "auto"],
    "status": lambda given: ["status"],
}


class Verbs:
    """Does what a front end asks for.

    Attributes:
        features: The topics and verbs that this kernel has.
    """

    def __init__(self, shell: Any, topics: Sequence[str]) -> None:
        self._shell = shell
        self._direct: dict[str, Callable[[_Arguments], Any]] = {
            "reload": lambda given: api.live().reload(given.text("model")),
            "list_features": lambda given: self.features,
            "trace_last": lambda given: api.current().recorder.last(given.text("model", optional=True)),
        }
        lines = [verb for verb, words in _LINES.items() if _command(words) in COMMANDS]
        self.features = [*topics, *sorted([*lines, *self._direct])]

    def do(self, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do it, and give the result as text and, where it has one, as data.

        Raises:
            WorkbenchUsageError: there is no such verb here, or its arguments are wrong.
            WorkbenchError: what the verb raises.
        """
        given = _Arguments(verb, arguments)
        if verb not in self.features or (verb not in _LINES and verb not in self._direct):
            raise WorkbenchUsageError(
                f"this kernel cannot {verb}{did_you_mean(verb, self.features)}",
                hint="upgrade triton-workbench in the kernel's environment",
            )
        if verb in self._direct:
            result = self._direct[verb](given)
        else:
            words = _LINES[verb](given)
            command = COMMANDS[words[0]]
            call = Call(self._shell, api.live(), command.parser().read(words[1:]), " ".join(words), None)
            result = perform(command, call)
        to_data = getattr(result, "to_data", None)
        data = to_data() if callable(to_data) else result if isinstance(result, list) else None
        return {"text": "" if result is None else repr(result), "data": data}


class _AnyArguments(_Arguments):
    """Answers every question: to learn which subcommand a verb is."""

    def __init__(self) -> None:
        super().__init__("", {})

    def text(self, name: str, *, optional: bool = False) -> str:
        return "x"


def _command(words: Words) -> str:
    return words(_AnyArguments())[0]
