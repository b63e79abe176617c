"""What ``%triton debug`` does: attach, send the last failed request again under pdb, listen for an IDE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import preview
from workbench.errors import WorkbenchError
from workbench.session.debugger import Attachment
from workbench.session.replay import inputs_of

if TYPE_CHECKING:
    from workbench.session.workbench import Workbench

__all__ = ["DebugInfo", "debug", "listen", "send", "stop"]

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class DebugInfo:
    """What became of it.

    Attributes:
        model: Its name.
        text: One line for people.
        port: Of the listener for an IDE on this machine; 0 if there is none.
        folder: Where the model's files lie, for the IDE.
        error: What the request that was sent ended with, None if it ended well or none was sent.
    """

    model: str
    text: str
    port: int = 0
    folder: str = ""
    error: WorkbenchError | None = None

    @property
    def host(self) -> str:
        return _LOOPBACK

    @property
    def settings(self) -> dict[str, Any]:
        """An entry of VS Code's launch.json; {} without a listener."""
        if not self.port:
            return {}
        return {
            "name": f"Triton model {self.model}",
            "type": "debugpy",
            "request": "attach",
            "connect": {"host": self.host, "port": self.port},
            "pathMappings": [{"localRoot": self.folder, "remoteRoot": self.folder}],
            "justMyCode": True,
        }

    def __repr__(self) -> str:
        lines = [f"Debug {self.model}: {self.text}"]
        if self.port:
            lines += ["  launch.json of VS Code:", *_indented(json.dumps(self.settings, indent=2), "    ")]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def debug(workbench: Workbench, name: str, *, on_error: bool = False) -> DebugInfo:
    """Attach pdb to a model. If its last request failed, send that one again, and look at where it fails.

    Args:
        workbench: The session.
        name: The model.
        on_error: Send nothing; stop wherever a request fails from now on.

    Raises:
        ModelNotFound: there is no such model.
        WorkbenchUsageError: it is a mock.
    """
    recorder = workbench.host(name).recorder
    last = recorder.requests[-1:]
    if not on_error and last and last[0] is recorder.last_error:
        with recorder.paused():
            inputs = inputs_of(last[0])
        return send(workbench, name, inputs, again=True, **last[0].options)
    workbench.debugger.attach(name, Attachment(on_error))
    where = "breakpoint(), and where a request fails," if on_error else "breakpoint()"
    return DebugInfo(
        name, f"{where} opens pdb in the cell that sends the request; %triton debug {name} --off ends it"
    )


def send(
    workbench: Workbench, name: str, inputs: Mapping[str, Any], *, again: bool = False, **options: Any
) -> DebugInfo:
    """Send one request under pdb: it stops at ``breakpoint()`` and where the request fails.

    Args:
        workbench: The session.
        name: The model.
        inputs: By name.
        again: It was sent before: it is not recorded a second time.
        **options: parameters, request_id, sequence.
    """
    recorder, debugger = workbench.host(name).recorder, workbench.debugger
    model = workbench.model(name)
    before = debugger.attached.get(name)
    debugger.attach(name, Attachment(on_error=True))
    what = "the last failed request, sent again," if again else "the request"

    def infer() -> Any:
        if not again:
            return model.infer(inputs, **options)
        with recorder.paused():
            return model.infer(inputs, **options)

    try:
        debugger.attend(infer)
    except WorkbenchError as error:
        return DebugInfo(name, f"{what} ended with {str(error).splitlines()[0]}", error=error)
    finally:
        if before is None:
            debugger.detach(name)
        else:
            debugger.attach(name, before)
    return DebugInfo(name, f"{what} was answered")


def listen(workbench: Workbench, name: str, port: int = 0, *, wait: bool = False) -> DebugInfo:
    """Have an IDE's debugger listen in the model's process; requests have no time limit from now on.

    Args:
        workbench: The session.
        name: The model.
        port: On loopback; 0 for any that is free.
        wait: Come back when an IDE has attached.

    Raises:
        DebuggerError: there is no debugpy, or the port is taken; or no IDE attached in ten minutes.
    """
    host, debugger = workbench.host(name), workbench.debugger
    port = debugger.listen(name, port)
    debugger.attach(name, Attachment())
    if wait:
        debugger.wait_client(name)
    text = f"an IDE {'has attached' if wait else 'may attach'} to {_LOOPBACK}:{port}"
    return DebugInfo(name, text, port=port, folder=str(host.entry.code_file.parent))


def stop(workbench: Workbench, name: str) -> DebugInfo:
    """Detach: requests have time limits again, and ``breakpoint()`` is an error. A listener goes on until the
    model's process ends.
    """
    workbench.debugger.detach(name)
    return DebugInfo(name, "no debugger is attached")


def _indented(text: str, by: str) -> list[str]:
    return [by + line for line in text.splitlines()]
