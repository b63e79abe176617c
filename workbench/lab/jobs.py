"""What a front end has asked for: each in a thread, so that neither cells nor the link wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from workbench.cancelling import CANCELLED
from workbench.errors import WorkbenchUsageError
from workbench.lab.verbs import Verbs
from workbench.session.logs import OUTPUT_TO_LOGS
from workbench.session.model_data import error_data

__all__ = ["Jobs"]

_AT_ONCE = 8

Send = Callable[[str, dict[str, Any]], None]


class Jobs:
    """The jobs of one link."""

    def __init__(self, send: Send, verbs: Verbs) -> None:
        self._send = send
        self._verbs = verbs
        self._running: dict[str, threading.Event] = {}  # job: set to call it off
        self._lock = threading.Lock()

    def start(self, job: str, verb: str, arguments: dict[str, Any]) -> None:
        """Begin a job; messages of kind ``job`` say how it goes. An id that is in use is left alone."""
        cancelled = threading.Event()
        with self._lock:
            if job in self._running:
                return
            full = len(self._running) >= _AT_ONCE
            if not full:
                self._running[job] = cancelled
        if full:
            error = WorkbenchUsageError(f"{_AT_ONCE} jobs are running", hint="wait for one, or cancel it")
            self._tell(job, verb, "failed", error=error_data(error, operation=verb))
            return
        self._tell(job, verb, "running")
        threading.Thread(
            target=self._run,
            args=(job, verb, arguments, cancelled),
            name=f"workbench-job-{verb}",
            daemon=True,
        ).start()

    def cancel(self, job: str) -> None:
        """Call a job off. It has ended when its message says so: one that waits for a model does at once."""
        with self._lock:
            cancelled = self._running.get(job)
        if cancelled is not None:
            cancelled.set()

    def _run(self, job: str, verb: str, arguments: dict[str, Any], cancelled: threading.Event) -> None:
        OUTPUT_TO_LOGS.set(True)  # no cell asked: what models print meanwhile goes to the logs
        CANCELLED.set(cancelled)
        more: dict[str, Any] = {}
        try:
            state, more = "done", {"result": self._verbs.do(verb, arguments)}
        except KeyboardInterrupt:
            state = "cancelled"
        except Exception as error:
            state, more = "failed", {"error": error_data(error, str(arguments.get("model") or ""), verb)}
        finally:
            with self._lock:
                self._running.pop(job, None)
        self._tell(job, verb, state, **more)

    def _tell(
        self,
        job: str,
        verb: str,
        state: str,
        *,
        error: dict[str, Any] | None = None,
        result: dict[str, Any] | None = None,
    ) -> None:
        body = {"id": job, "verb": verb, "state": state, "progress": None, "message": ""}
        self._send("job", {**body, "error": error, "result": result})
