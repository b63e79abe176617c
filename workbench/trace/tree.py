"""From the events of a tap to trees of spans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from workbench.trace.span import Span, TensorInfo

if TYPE_CHECKING:
    from workbench._host import TapRecord

__all__ = ["Forest"]

Text = Callable[[str], str]


class Forest:
    """Every request in some events, with what it led to.

    Args:
        records: Events, oldest first.
        label: From a model's name to what its source is called, or "".
        cause: From the text of an error to the part that people want to read.
        whole: Nothing before these events was dropped.
    """

    def __init__(
        self, records: Iterable[TapRecord], label: Text, cause: Text, *, whole: bool = False
    ) -> None:
        self._label = label
        self._cause = cause
        self._whole = whole
        self._opened: dict[int, list[TapRecord]] = {}  # request or begin, by span
        self._answers: dict[int, list[TapRecord]] = defaultdict(list)
        self._executed: dict[int, int] = {}  # batch → time
        self._calls: dict[int, list[TapRecord]] = defaultdict(list)  # by batch
        self._made_for: dict[int, list[int]] = defaultdict(list)  # span → requests made for it
        self._last = 0
        for each in records:
            self._last = max(self._last, each.time_ns)
            if each.kind in ("request", "begin"):
                if each.span not in self._opened:
                    self._made_for[each.parent].append(each.span)
                self._opened.setdefault(each.span, []).append(each)
            elif each.kind == "call":
                self._calls[each.parent].append(each)
            elif each.kind == "executed":
                self._executed[each.span] = each.time_ns
            else:
                self._answers[each.span].append(each)

    def roots(self) -> list[int]:
        """Spans of requests that nobody but a user made, oldest first. A request whose caller's events were
        dropped is none of these.
        """
        called = {each.span for calls in self._calls.values() for each in calls}
        parents = called | self._opened.keys()
        # A number that never had an event was given by whoever traces one request; it is a little older than
        # that request. A caller whose events were dropped is older than all that is left.
        oldest = 0 if self._whole else min(self._opened, default=0)
        return [
            span
            for parent, spans in self._made_for.items()
            for span in spans
            if parent == 0 or (parent not in parents and parent > oldest)
        ]

    def made_for(self, span: int) -> list[int]:
        """Requests made on behalf of a span."""
        return list(self._made_for.get(span, ()))

    def tree(self, root: int) -> tuple[Span, int]:
        """The tree below one request, and its start on the tap's clock."""
        first = self._opened[root][0]
        start = first.since_ns or first.time_ns
        span = self._span(root, "request", start)
        return span, start

    # -- one span ------------------------------------------------------------------------------------------

    def _span(self, number: int, kind: str, zero: int) -> Span:
        events = self._opened[number]
        first = events[0]
        start = first.since_ns or first.time_ns
        answers = self._answers.get(number, [])
        ends = [each.time_ns for each in answers if each.final]
        if not ends:
            ends = [self._executed[each.batch] for each in events if each.batch in self._executed]
        end = max(ends, default=max(start, self._last))
        span = Span(str(number), first.model, kind, start - zero, end - start)
        span.inputs = [TensorInfo.of(each) for each in first.tensors]
        self._answer(span, answers)
        if first.kind == "begin":
            self._steps(span, number, zero)
        else:
            self._executions(span, events, end, zero)
        return span

    def _answer(self, span: Span, answers: list[TapRecord]) -> None:
        for each in answers:
            if each.error is not None:
                span.error = self._cause(each.error)
            elif each.tensors:
                span.responses += 1
                if not span.outputs:
                    span.outputs = [TensorInfo.of(tensor) for tensor in each.tensors]

    def _steps(self, span: Span, number: int, zero: int) -> None:
        for each in self._made_for.get(number, ()):
            span.children.append(self._span(each, "step", zero))
        span.children.sort(key=lambda each: each.start_ns)

    def _executions(self, span: Span, events: list[TapRecord], end: int, zero: int) -> None:
        """Waiting and executing, once for each time the model got the request."""
        since = events[0].since_ns
        for event in events:
            begun = event.time_ns
            over = max(begun, self._executed.get(event.batch, end))
            queue = Span(f"{span.id}q{event.batch}", span.model, "queue", since - zero, begun - since)
            execute = Span(f"{span.id}x{event.batch}", span.model, "execute", begun - zero, over - begun)
            span.children += [queue, execute]
            for call in sorted(self._calls.get(event.batch, ()), key=lambda each: (each.order, each.time_ns)):
                # A decoupled model goes on calling when its execute has returned.
                home = execute if call.time_ns <= over else span
                home.children.append(self._call(call, span.model, zero))
            since = over

    def _call(self, call: TapRecord, caller: str, zero: int) -> Span:
        answers = self._answers.get(call.span, [])
        end = max((each.time_ns for each in answers if each.final), default=max(call.time_ns, self._last))
        span = Span(
            str(call.span),
            call.model,
            "bls",
            call.time_ns - zero,
            end - call.time_ns,
            how=call.form,
            decoupled=call.decoupled,
            line=call.line or None,
            cell=(self._label(caller) or None) if call.line else None,
            inputs=[TensorInfo.of(each) for each in call.tensors],
        )
        self._answer(span, answers)
        # The request that answers it is the call itself, seen from the other end: only its parts are news.
        for number in self._made_for.get(call.span, ()):
            span.children += self._span(number, "request", zero).children
        return span
