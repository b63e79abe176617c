"""What a front end has asked for: each in a thread, so that neither cells nor the link wait for it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

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
        self._running: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def start(self, job: str, verb: str, arguments: dict[str, Any]) -> None:
        """Begin a job; messages of kind ``job`` say how it goes. An id that is in use is left alone."""
        thread = threading.Thread(
            target=self._run, args=(job, verb, arguments), name=f"workbench-job-{verb}", daemon=True
        )
        with self._lock:
            if job in self._running:
                return
            full = len(self._running) >= _AT_ONCE
            if not full:
                self._running[job] = thread
        if full:
            error = WorkbenchUsageError(f"{_AT_ONCE} jobs are running", hint="wait for one, or cancel it")
            self._tell(job, verb, "failed", error=error_data(error, operation=verb))
            return
        self._tell(job, verb, "running")
        thread.start()

    def cancel(self, job: str) -> None:
        """Interrupt a job, as the stop button does a cell. It has ended when its message says so."""
        with self._lock:
            thread = self._running.get(job)
            if thread is None or thread.ident is None:
                return
            # The thread notices when it runs Python code next.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
            )

    def _run(self, job: str, verb: str, arguments: dict[str, Any]) -> None:
        OUTPUT_TO_LOGS.set(True)  # no cell asked: what models print meanwhile goes to the logs
        state, more = "cancelled", {}
        try:
            try:
                state, more = "done", {"result": self._verbs.do(verb, arguments)}
            except Exception as error:
                model = str(arguments.get("model") or "")
                state, more = "failed", {"error": error_data(error, model, verb)}
            with self._lock:  # from here on it cannot be cancelled any more
                self._running.pop(job, None)
        except KeyboardInterrupt:
            state, more = "cancelled", {}
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
