"""One trace of a real server, of two sources: the server's own spans, and what our stubs wrote down.

The server knows when each model's request waited and ran, and who was called on whose behalf; our stubs know
which line of a model made which call, in what form, and the tensors. A stub's record carries the context of
the request it belongs to, so it is known which of the server's spans it goes with.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.session.failures import cause_of
from workbench.targets.span_collector import ServerSpan
from workbench.trace.span import Span, TensorInfo

__all__ = ["ServerTree", "context_ids"]

Record = Mapping[str, Any]


def context_ids(context: str) -> tuple[str, str]:
    """Trace id and span id of what a request's ``trace().get_context()`` gives; "" if there is none."""
    try:
        _, trace, span, _ = json.loads(context)["traceparent"].split("-")
    except (ValueError, KeyError, TypeError):
        return "", ""
    return trace, span


class ServerTree:
    """The tree of one request.

    Args:
        spans: The server's, of this trace.
        records: Our stubs', of this trace.
        label: From a model's name to what its source is called, or "".
    """

    def __init__(
        self, spans: Sequence[ServerSpan], records: Sequence[Record], label: Callable[[str], str]
    ) -> None:
        self._label = label
        self._spans = {each.id: each for each in spans}
        self._models = {each.id: each for each in spans if each.model}
        self._below: dict[str, list[ServerSpan]] = defaultdict(list)  # model span → those it caused
        self._events: dict[str, dict[str, int]] = {each: {} for each in self._models}
        for each in spans:
            home = self._home(each.parent)
            if each.model:
                self._below[home].append(each)
                self._events[each.id].update(each.events)
            elif home:
                self._events[home].update(each.events)
        self._calls: dict[str, list[Record]] = defaultdict(list)
        self._executed: dict[str, Record] = {}
        for record in records:
            if record["kind"] == "call":
                self._calls[self._home(context_ids(record["context"])[1])].append(record)
            else:
                for request in record["requests"]:
                    self._executed[self._home(context_ids(request["context"])[1])] = request

    def root(self) -> Span | None:
        """The request; None if the server sent no span of a model."""
        tops = sorted(self._below.get("", ()), key=lambda each: each.start)
        if not tops:
            return None
        top = tops[0]
        span = Span(top.id, top.model, "request", 0, top.end - top.start)
        self._describe(span, top)
        self._fill(span, top, top.start)
        return span

    @property
    def started(self) -> int:
        """When the root began, nanoseconds since 1970."""
        return min((each.start for each in self._below.get("", ())), default=0)

    def _home(self, span: str) -> str:
        """The model's span that a span belongs to, or ""."""
        while span and span not in self._models:
            found = self._spans.get(span)
            span = found.parent if found is not None else ""
        return span

    def _fill(self, span: Span, source: ServerSpan, zero: int) -> None:
        """Waiting, execution and calls of a model's span."""
        events = self._events[source.id]
        below = sorted(self._below.get(source.id, ()), key=lambda each: each.start)
        if "COMPUTE_START" not in events:
            if below and not self._calls.get(source.id):  # an ensemble computes nothing itself
                span.children += [self._step(each, zero) for each in below]
            return
        begun = events["COMPUTE_START"]
        over = events.get("COMPUTE_END", source.end)
        since = events.get("QUEUE_START", source.start)
        execute = Span(f"{span.id}x", span.model, "execute", begun - zero, over - begun)
        span.children += [Span(f"{span.id}q", span.model, "queue", since - zero, begun - since), execute]
        for record in sorted(self._calls.get(source.id, ()), key=lambda each: each["order"]):
            answered = next(
                (
                    each
                    for each in below
                    if each.model == record["model"] and record["start"] <= each.start <= record["end"]
                ),
                None,
            )
            if answered is not None:
                below.remove(answered)
            home = execute if record["start"] <= over else span
            home.children.append(self._call(record, answered, source.model, zero))
        for each in below:  # calls of a stub that writes nothing down
            execute.children.append(self._unseen(each, zero))

    def _call(self, record: Record, answered: ServerSpan | None, caller: str, zero: int) -> Span:
        line = int(record["line"]) or None
        span = Span(
            f"{caller}-{record['order']}",
            str(record["model"]),
            "bls",
            record["start"] - zero,
            record["end"] - record["start"],
            how=str(record["how"]),
            decoupled=bool(record["decoupled"]),
            line=line,
            cell=(self._label(caller) or None) if line else None,
            error=None if record["error"] is None else cause_of(str(record["error"])),
            responses=int(record["responses"]),
            inputs=[TensorInfo.of(each) for each in record["inputs"]],
            outputs=[TensorInfo.of(each) for each in record["outputs"]],
        )
        if answered is not None:
            span.id = answered.id
            self._fill(span, answered, zero)
        return span

    def _step(self, source: ServerSpan, zero: int) -> Span:
        span = Span(source.id, source.model, "step", source.start - zero, source.end - source.start)
        self._describe(span, source)
        self._fill(span, source, zero)
        return span

    def _unseen(self, source: ServerSpan, zero: int) -> Span:
        span = self._step(source, zero)
        span.kind = "bls"
        return span

    def _describe(self, span: Span, source: ServerSpan) -> None:
        """Tensors, as the stub of the called wrote them down."""
        request = self._executed.get(source.id)
        if request is not None:
            span.inputs = [TensorInfo.of(each) for each in request["inputs"]]
            span.outputs = [TensorInfo.of(each) for each in request["outputs"]]
            span.responses = 1 if span.outputs else 0
