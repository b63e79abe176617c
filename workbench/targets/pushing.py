"""Pushes to one server: what was sent, what serves, and the way back.

A server keeps what served before when a load fails. All else is done here: a snapshot of what serves, tries
of what was sent, and the snapshot's return if they go wrong. What serves is asked, never assumed: the
server's configuration carries the mark of what was sent (see `workbench.targets.pushed`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.model_source import ModelEntry
from workbench.repository.model_files import required_packages
from workbench.server_errors import LoadTimeout, PushError, ServerUnreachable
from workbench.targets.client import TOO_LATE, ServerClient, ServerRefused
from workbench.targets.push_report import PushReport
from workbench.targets.pushed import Pushed, make_pushed, mark_in
from workbench.targets.server_texts import load_failure

__all__ = ["Check", "Pushes", "src_of"]

#: Tries what was just pushed; gives what is wrong with it, or "".
Check = Callable[[], str]

_OWN = "the repository's own model"


class Pushes:
    """What this kernel sent to a server.

    Args:
        server: The server's name, for texts.
        stub_files: Files that go along with every model.
    """

    #: How to reach the server; set by whoever connects.
    client: ServerClient

    def __init__(self, server: str, stub_files: Mapping[str, bytes | Path] | None = None) -> None:
        self._server = server
        self._stub_files = dict(stub_files or {})
        #: What was sent and served, oldest first; the last one serves unless somebody else loaded meanwhile.
        self._history: dict[str, list[Pushed]] = {}
        self._lock = threading.Lock()

    def push(
        self,
        entry: ModelEntry,
        checks: Sequence[Check] = (),
        *,
        steps: Sequence[tuple[str, str]] = (),
        version: int = 0,
        timeout: float | None = None,
    ) -> PushReport:
        """Send a model; see `workbench.targets.remote.ServerTarget.push`."""
        with self._lock:
            before = self.mark(entry.name)
            new = make_pushed(entry, self._stub_files, version=version).after(before)
            try:
                return self._push(new, before, checks, list(steps), timeout)
            except ServerUnreachable as gone:
                # Whether it arrived is not known; if it did, the mark will say so, and this brings it back.
                self._remember(new)
                raise ServerUnreachable(
                    f"{gone} (while {new.src} of {entry.name} was pushed; nothing here is lost)",
                    hint=gone.hint,
                ) from None
            except KeyboardInterrupt:  # the server goes on with what it was asked for
                self._remember(new)
                raise

    def _push(
        self,
        new: Pushed,
        before: str | None,
        checks: Sequence[Check],
        steps: list[tuple[str, str]],
        timeout: float | None,
    ) -> PushReport:
        name = new.entry.name
        steps.append(("snapshot", self._describe_snapshot(name, before)))
        try:
            self._send(new, timeout)
        except ServerRefused as refused:
            if refused.status == TOO_LATE:
                raise self._still_loading(new, before, timeout) from None
            now = self._put_back(name, before)
            raise self._not_loaded("", new.entry, str(refused), now) from None
        mark = self.mark(name)
        if mark != new.mark:
            raise PushError(
                f"{self._server} agreed to load {new.src} of {name} and serves something else",
                serving=src_of(mark),
                hint="somebody else may load models there",
            )
        sent = ", ".join(each for each in new.files if each not in self._stub_files)
        steps.append(("load", f"config and {sent} sent as overrides" if sent else "config sent as override"))
        self._try(name, before, checks)
        if checks:
            plural = "" if len(checks) == 1 else "s"
            steps.append(("smoke", f"{len(checks)} recorded request{plural}, outputs equal"))
        self._remember(new)
        needed = required_packages(new.entry)
        notes = (f"the server must have {', '.join(needed)}",) if needed else ()
        return PushReport(name, self._server, new.src, tuple(steps), notes)

    def _send(self, pushed: Pushed, timeout: float | None = None) -> None:
        """Have a revision loaded. Raises ServerRefused if it does not serve then."""
        name = pushed.entry.name
        try:
            self.client.load(name, pushed.config, pushed.files, timeout=timeout)
        except ServerRefused as refused:
            # A server looks for an ensemble's models in its repository, complains that those which were sent
            # are not there, and serves the ensemble all the same (seen with 24.07 and 24.10).
            served = pushed.entry.config.is_ensemble and refused.status != TOO_LATE
            if not served or self.mark(name) != pushed.mark:
                raise

    def _try(self, name: str, before: str | None, checks: Sequence[Check]) -> None:
        """Run the checks; what served before comes back if one fails, or if they are interrupted."""
        for number, check in enumerate(checks, 1):
            try:
                difference = check()
            except ServerUnreachable:
                raise
            except WorkbenchError as error:
                difference = f"failed: {error}"
            except BaseException:  # Ctrl-C: nobody knows whether it is good
                self._put_back(name, before)
                raise
            if difference:
                now = self._put_back(name, before)
                raise PushError(
                    f"smoke request {number} {difference}; {self._outcome(now)}",
                    serving=now,
                    hint="--no-smoke pushes without it",
                )

    def _still_loading(self, new: Pushed, before: str | None, timeout: float | None) -> LoadTimeout:
        self._remember(new)
        name = new.entry.name
        reason = next((row.get("reason", "") for row in self.client.index() if row.get("name") == name), "")
        waited = f" after {timeout:g} s" if timeout else ""
        return LoadTimeout(
            f"{self._server} is still loading {new.src} of {name}{waited}"
            + (f" ({reason})" if reason else "")
            + f"; {self._outcome(src_of(before))} until that is done",
            serving=src_of(before),
            hint=f"%triton models --on {self._server} shows its state; --load-timeout 1200 waits longer",
        )

    def rollback(self, name: str) -> PushReport:
        """Bring back what served before; see `workbench.targets.remote.ServerTarget.rollback`."""
        with self._lock:
            mark = self.mark(name)
            if not mark:
                raise PushError(f"{self._server} serves no push of {name}", hint="%triton push sends one")
            served, earlier = self.known(name, mark), self._before(name, mark)
            now = ""
            try:
                if earlier:
                    self._send(earlier[-1])
                    now, step = earlier[-1].src, f"{earlier[-1].src} sent again"
                else:
                    self.client.load(name)  # a plain load drops what was sent
                    now, step = src_of(self.mark(name)), f"{_OWN} loaded"
            except ServerRefused as refused:
                # Only where nothing served before is serving nothing the way back.
                if earlier or served is None or served.onto is not None:
                    raise self._no_way_back(name, earlier[-1] if earlier else None, str(refused)) from None
                self.client.unload(name)
                step = "unloaded: nothing served before"
            if served is not None:
                self._history[name] = earlier
            return PushReport(
                name,
                self._server,
                now if now.startswith("src:") else "",
                (("roll back", step),),
                verb="Roll back",
                state="READY" if now else "UNAVAILABLE",
            )

    def _no_way_back(self, name: str, earlier: Pushed | None, reason: str) -> PushError:
        """Why a roll-back changed nothing: what answers requests is not unloaded for want of a better one."""
        now = src_of(self.mark(name))
        if earlier is not None:
            what = f"{self._server} does not load {earlier.src} of {name} again: "
            return self._not_loaded(what, earlier.entry, reason, now)
        cause = reason.splitlines()[0]
        return PushError(
            f"what {self._server} served before this push of {name} is not known here, and {_OWN} does not "
            f"load ({cause}); {self._outcome(now)}",
            cause=cause,
            serving=now,
            hint=f"push the earlier revision: %triton push {name} --to {self._server}, or workbench push DIR "
            "--to URL",
        )

    def _not_loaded(self, what: str, entry: ModelEntry, reason: str, now: str) -> PushError:
        """The error for a model that the server refuses, at the model's own lines.

        Args:
            what: What was tried, in front of the cause; "": the push itself.
            entry: The model.
            reason: The server's words.
            now: What serves.
        """
        cause, frames = load_failure(reason, entry)
        said = f"{what}{cause}" if what else f"{cause} ({entry.name})"
        missing = cause.startswith(("ModuleNotFoundError", "ImportError"))
        return PushError(
            f"{said}; {self._outcome(now)}",
            cause=cause,
            frames=frames,
            serving=now,
            hint="no packages are sent: the server's Python needs it, or export with --env"
            if missing
            else "",
        )

    def undo(self, name: str, before: str | None) -> str:
        """Take back a push that went well; ``before`` is what `mark` gave before it. Gives what serves."""
        with self._lock:
            mark = self.mark(name)
            if mark:
                self._history[name] = self._before(name, mark)
            return self._put_back(name, before)

    def again(self) -> dict[str, str]:
        """Send what served last to a server that began anew; name → src, or why it does not serve."""
        with self._lock:
            found = {}
            for last in _models_first([history[-1] for history in self._history.values() if history]):
                name = last.entry.name
                try:
                    self._send(last)
                    found[name] = last.src
                except ServerRefused as refused:
                    cause, _ = load_failure(str(refused), last.entry)
                    found[name] = f"not loaded: {cause.splitlines()[0]}"
            return dict(sorted(found.items()))

    # -- what is known -------------------------------------------------------------------------------------

    def mark(self, name: str) -> str | None:
        """The mark of what serves, "" for a model not sent by us, None if none is ready."""
        try:
            return mark_in(self.client.config(name)) if self.client.ready(name) else None
        except ServerRefused:
            return None

    def known(self, name: str, mark: str | None) -> Pushed | None:
        """The revision of a mark, if it was sent from here."""
        return next((each for each in reversed(self._history.get(name, [])) if each.mark == mark), None)

    def forget(self, name: str) -> None:
        self._history.pop(name, None)

    def _remember(self, new: Pushed) -> None:
        history = self._history.setdefault(new.entry.name, [])
        if history and new.same_as(history[-1].mark):
            new = replace(new, onto=history.pop().onto)
        history.append(new)

    def _before(self, name: str, mark: str) -> list[Pushed]:
        """What was sent before the revision of this mark was."""
        history = self._history.get(name, [])
        places = [place for place, each in enumerate(history) if each.mark == mark]
        return history[: places[-1]] if places else []

    # -- the way back --------------------------------------------------------------------------------------

    def _put_back(self, name: str, wanted: str | None) -> str:
        """Make what served before serve again; gives what serves now: its src, words, or "" for nothing."""
        if wanted is not None and self.mark(name) == wanted:
            return src_of(wanted)
        known = self.known(name, wanted) if wanted else None
        try:
            if known is not None:
                self._send(known)
                return known.src
            if wanted is not None:
                self.client.load(name)  # a plain load drops what was sent
                return src_of(self.mark(name))
        except ServerRefused:
            pass
        if self.mark(name) is not None:
            self.client.unload(name)
        return ""

    def _describe_snapshot(self, name: str, mark: str | None) -> str:
        if mark is None:
            return "nothing served"
        if mark and self.known(name, mark) is None:
            return f"{src_of(mark)} serves, pushed from elsewhere: it cannot be brought back from here"
        return f"{src_of(mark)} kept" if mark else f"{_OWN} serves"

    def _outcome(self, now: str) -> str:
        return f"{self._server} serves {now}" if now else f"{self._server} does not serve it"


def src_of(mark: str | None) -> str:
    """``src:3f9a1c2`` of a mark; words for a model not sent by us, "" for none."""
    return (mark or "").rpartition("-")[0] or (_OWN if mark is not None else "")


def _models_first(pushed: Sequence[Pushed]) -> list[Pushed]:
    """In order of name, but an ensemble after those of its models that are among them."""
    waiting = {each.entry.name: each for each in sorted(pushed, key=lambda each: each.entry.name)}
    found: list[Pushed] = []

    def add(name: str) -> None:
        each = waiting.pop(name, None)
        if each is None:
            return
        ensemble = each.entry.config.ensemble_scheduling
        for step in ensemble.step if ensemble is not None else ():
            add(step.model_name)
        found.append(each)

    for name in list(waiting):
        add(name)
    return found
