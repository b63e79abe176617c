"""status, doctor: what is here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench import doctor, preview
from workbench.magics.arguments import Command, HelpText, Parser
from workbench.targets import servers

if TYPE_CHECKING:
    from workbench.magics.triton import Call
    from workbench.session.workbench import Workbench

__all__ = ["COMMANDS", "Status"]


class Status:
    """Whose stub, which protocol release, how many models, which targets.

    Args:
        workbench: The session.
        servers: Name → state of the servers it knows.
    """

    def __init__(self, workbench: Workbench, servers: Mapping[str, str] | None = None) -> None:
        self.stub = workbench.settings.stub
        self.release = workbench.release
        self.models = {name: host.state for name, host in sorted(workbench.hosts.items())}
        self.targets = {"live": "ready", **(servers or {})}

    def __repr__(self) -> str:
        ready = sum(state == "READY" for state in self.models.values())
        lines = [
            f"Status: stub {self.stub}, protocol {self.release}, {ready} of {len(self.models)} models ready",
            *preview.columns([[f"target {name}", state] for name, state in self.targets.items()]),
        ]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def _status(call: Call) -> Status:
    return Status(call.target.workbench, servers.states())


def _doctor_arguments(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="the report as JSON")


def _doctor(call: Call) -> doctor.DoctorReport | HelpText:
    report = doctor.examine()
    return HelpText(report.to_json()) if call.arguments.json else report


def _nothing(parser: Parser) -> None:
    """No arguments of its own."""


COMMANDS = (
    Command(
        "status", "Whose stub runs, which protocol release, which targets.", ("line",), _nothing, _status
    ),
    Command(
        "doctor",
        "Examine this machine: shared memory, limits, Python, compiler, CUDA, Triton, Lab.",
        ("line",),
        _doctor_arguments,
        _doctor,
    ),
)
