"""One stub process with its channel: up, down, and what became of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import _host
from workbench._stub_boot import STACK_SIGNAL
from workbench.errors import ModelLoadError
from workbench.launch import Launcher, StubProcess, exit_reason
from workbench.model_config import InstanceSpec, ModelConfig
from workbench.model_source import ModelEntry
from workbench.session import failures, regions
from workbench.session.lines import Lines
from workbench.session.logs import OutputRoute
from workbench.session.settings import Settings
from workbench.session.shm import exhausted

if TYPE_CHECKING:
    from workbench._line import Message
    from workbench.session.revision import Revision
    from workbench.session.services import Services

__all__ = ["Instance", "StartPlan", "auto_complete"]

_FINALIZE_SECONDS = 30.0
_EXIT_SECONDS = 5.0
_REFUSED_SECONDS = 1.0
_STACK_SECONDS = 1.0


@dataclass(frozen=True)
class StartPlan:
    """All an instance needs to start; a restart uses the same one again."""

    entry: ModelEntry
    config: ModelConfig
    settings: Settings
    launcher: Launcher
    services: Services | None
    new_route: Callable[[], OutputRoute]
    discard: Callable[[ModelEntry], None]  # what becomes of the folder when the revision is gone
    lines: Lines
    serving: str = ""  # who answers meanwhile, for the error text
    uses_env: bool = False  # the stub is started in an execution environment


class Instance:
    """One stub process. Whoever holds the instance may call its channel."""

    def __init__(
        self, plan: StartPlan, spec: InstanceSpec, *, name: str = "", context: Context | None = None
    ) -> None:
        """Start the process and wait until it has opened its region.

        Args:
            plan: What to start.
            spec: Which instance of it.
            name: In place of the instance's name, for error texts.
            context: The context of the cell that loads the model: what the model prints while loading goes
            there.

        Raises:
            ModelLoadError: it did not start in ``stub-timeout-seconds``, or died.
            ShmExhausted: there is no room for its region.
        """
        self.plan = plan
        self.spec = spec
        self.process: StubProcess | None = None
        self._region_lock: regions.RegionLock | None = None
        self.route = plan.new_route()
        self.route.context = context
        # Calls to other models that are not answered yet: what each waits for. See `deadlock`.
        self.pending: dict[object, tuple[Revision, Instance | None]] = {}
        # Set when the process is found dead or is given up; the replacement is another Instance.
        self.lost = False
        self.replaced = threading.Event()
        self.end = ""
        self.last_output: list[str] = []
        services = plan.services
        self._metrics = services.metric_client(plan.config.name) if services else None
        self.channel = self._open_channel(name or spec.name)
        try:
            self._region_lock = regions.RegionLock(self.channel.region_name)
            self._launch()
        except BaseException:
            self.abort()
            raise

    def _open_channel(self, name: str) -> _host.Channel:
        plan, settings, services = self.plan, self.plan.settings, self.plan.services
        try:
            return _host.Channel(
                name=name,
                release=settings.release,
                region_name=settings.region_name(),
                shm_default_byte_size=settings.shm_default_byte_size,
                shm_growth_byte_size=settings.shm_growth_byte_size,
                queue_size=settings.shm_message_queue_size,
                thread_pool_size=settings.thread_pool_size,
                decoupled=plan.config.decoupled,
                uses_env=plan.uses_env,
                on_log=self._log(services.log_handler(plan.config.name)) if services else None,
                on_bls=services.bls_handler(self) if services else None,
                on_metric=services.metric_handler(self._metrics) if services and self._metrics else None,
                on_control=services.control_handler() if services else None,
                tap=services.tap if services else None,
            )
        except _host.PoolExhausted as error:
            raise exhausted(plan.config.name, str(error), 0) from None

    def _launch(self) -> None:
        plan = self.plan
        backend = plan.entry.backend_dir
        arguments = self.channel.arguments(
            str(plan.entry.model_file), plan.launcher.python_lib, str(backend) if backend else "DEFAULT"
        )
        # The second asks our stub for the line of each call to another model: see call_site.hpp.
        env = {"TRITON_WORKBENCH_RELEASE": plan.settings.release, "TRITON_WORKBENCH_TRACE": "host"}
        try:
            self.process = plan.launcher.start(arguments, env=env)
        except OSError as error:
            raise ModelLoadError(
                f"the process of {plan.entry.name} cannot be started: {error.strerror or error}"
                f"{failures.keeps(plan.serving)}",
                serving=plan.serving,
                hint="%triton doctor looks at this machine's limits",
            ) from None
        self.process.output.on_line = self._print
        plan.lines.join(self)
        with self._load_errors("while starting"):
            self.channel.attach(self.process.pid)
            self.channel.wait_started(plan.settings.stub_timeout_seconds)

    def _print(self, line: str) -> None:
        self.route(self._at_the_cell(line))

    def _log(
        self, handler: Callable[[int, str, int, str, str], None]
    ) -> Callable[[int, str, int, str], None]:
        return lambda level, file, line, text: handler(level, file, line, self._at_the_cell(text), text)

    def _at_the_cell(self, text: str) -> str:
        """A traceback that a model prints or logs names the cell, too."""
        entry = self.plan.entry
        return text.replace(str(entry.code_file), entry.source.label)

    def initialize(self) -> None:
        """Import the model and call its ``initialize``.

        Raises:
            ModelLoadError: it failed, died, or took longer than ``stub-timeout-seconds``.
        """
        entry, config = self.plan.entry, self.plan.config
        arguments = {
            "model_config": config.to_json(),
            "model_instance_kind": self.spec.kind,
            "model_instance_name": self.spec.name,
            "model_instance_device_id": str(self.spec.device_id),
            "model_repository": str(entry.path),
            "model_version": str(entry.version),
            "model_name": entry.name,
        }
        try:
            with self._load_errors("in initialize"):
                self.channel.initialize(arguments, self.plan.settings.stub_timeout_seconds)
        except BaseException:
            self.abort()
            raise
        assert self.process is not None
        self.process.output.drain()
        self.route.context = None

    @contextlib.contextmanager
    def _load_errors(self, phase: str) -> Iterator[None]:
        """Turn the channel's errors while loading into one `ModelLoadError`."""
        entry, serving = self.plan.entry, self.plan.serving
        process = self.process
        assert process is not None
        try:
            yield
        except _host.ModelError as error:
            process.wait(_REFUSED_SECONDS)  # it ends by itself, after its last log lines
            process.output.drain()
            raise failures.load_error(
                entry, str(error.args[0]), serving=serving, lines=self.plan.lines
            ) from None
        except _host.StubNotHealthy:
            reason = self.end_reason()
            output = process.output.tail(40)
            raise ModelLoadError(
                f"{entry.name} died ({reason}) {phase}{failures.keeps(serving)}",
                frames=failures.parse_stack(output, entry),
                serving=serving,
                output=[failures.clean(entry, line) for line in output if not failures.is_dump(line)][-8:],
            ) from None
        except _host.StubTimeout:
            stack = self.stack()
            seconds = self.plan.settings.stub_timeout_seconds
            raise ModelLoadError(
                f"{entry.name} did not get through within {seconds:g} s {phase}{failures.keeps(serving)}",
                frames=failures.parse_stack(stack, entry),
                serving=serving,
                hint="allow more with --backend-config stub-timeout-seconds=300",
            ) from None

    def patch(self, entry: ModelEntry, timeout: float, *, serving: str) -> None:
        """Give the living model the methods of another source of it. Whoever calls this holds the instance.

        Raises:
            ModelLoadError: the source was refused; the model is as before.
            _host.StubNotHealthy: the process did not answer in `timeout` seconds, or is gone.
        """
        module = f"{entry.version}.{entry.model_file.stem}"
        failure = self._ask({"kind": "patch", "file": str(entry.model_file), "module": module}, timeout)
        if failure:
            raise failures.load_error(entry, failure, serving=serving, lines=self.plan.lines)

    def undo_patch(self, timeout: float) -> None:
        """Take the last patch back. Raises _host.StubNotHealthy as `patch` does."""
        self._ask({"kind": "undo_patch"}, timeout)

    def _ask(self, message: Message, timeout: float) -> str:
        answer = self.plan.lines.ask(self, message, "patched", timeout)
        if answer is None:
            raise _host.StubNotHealthy(f"no answer from the stub of {self.spec.name}")
        return str(answer["error"])

    def catch_up(self) -> None:
        """Show what the model has printed so far; what it prints later belongs to no request."""
        if self.process is not None:
            self.process.output.drain()
        self.route.context = None

    def end_reason(self) -> str:
        """Why the process ended; kills one that lives on without answering."""
        process = self.process
        if process is None:
            return "never started"
        code = process.wait(1.0)
        if code is None:
            process.kill()
            process.wait(_EXIT_SECONDS)
        with contextlib.suppress(OSError):
            process.output.drain()
        return exit_reason(code)

    def stack(self) -> list[str]:
        """The stub's Python stacks now, as faulthandler prints them; [] from a stub that is not ours."""
        process = self.process
        if process is None or self.plan.launcher.stub != "own" or process.poll() is not None:
            return []
        with process.output.capture() as lines:
            process.send_signal(STACK_SIGNAL)
            end = time.monotonic() + _STACK_SECONDS
            seen = -1
            # The dump has no end mark: it is over when nothing more comes.
            while time.monotonic() < end and (len(lines) != seen or not lines):
                seen = len(lines)
                time.sleep(0.02)
            return list(lines)

    def finalize(self, timeout: float = _FINALIZE_SECONDS) -> None:
        """Ask the model to finalize, wait for the process to end, remove the region. Kills what does not
        end.
        """
        process = self.process
        if process is not None and process.poll() is None:
            try:
                self.channel.finalize(timeout)
                process.wait(timeout)
            except _host.StubError:
                pass  # it is killed below
        self.abort()

    def abort(self) -> None:
        """Kill the process, remove the region. Idempotent."""
        process = self.process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait(_EXIT_SECONDS)
        self.channel.close()
        if self._metrics is not None:
            self._metrics.close()
        if self._region_lock is not None:
            self._region_lock.release()
        if process is not None:
            self.plan.lines.leave(self)
            process.close()


def auto_complete(plan: StartPlan, finish: Callable[[Instance], None]) -> ModelConfig:
    """Run the model's ``auto_complete_config`` in a stub of its own, as a server does before it starts
    instances.

    Args:
        plan: What to start.
        finish: Finalizes the stub, which nobody needs to wait for: an interpreter takes a while to end.

    Returns:
        The completed configuration; unchanged if the class has no such function.

    Raises:
        ModelLoadError: importing the model or the function failed.
        ModelConfigError: what it returned is not a valid configuration.
    """
    spec = InstanceSpec(plan.config.name, "CPU", 0)
    instance = Instance(plan, spec, name=plan.config.name, context=copy_context())
    try:
        with instance._load_errors("in auto_complete_config"):
            answer = instance.channel.auto_complete(plan.config.to_json(), plan.settings.stub_timeout_seconds)
    except BaseException:
        instance.abort()
        raise
    instance.catch_up()
    finish(instance)
    return plan.config.completed_by(answer) if answer else plan.config
