"""The critical path: what a request really waited for."""

from __future__ import annotations

from workbench.trace.span import Span

__all__ = ["mark_critical"]


def mark_critical(root: Span) -> None:
    """Set ``critical`` on the spans of the critical path, and clear it on all others.

    From the end backwards: what ended last before a moment is what that moment waited for; before that span
    began, something else was waited for.
    """
    for each in root.walk():
        each.critical = False
    _mark(root)


def _mark(span: Span) -> None:
    span.critical = True
    moment = span.end_ns
    for child in sorted(span.children, key=lambda each: (each.end_ns, each.start_ns), reverse=True):
        # Ends are taken by other threads than starts: a child may seem to outlive its parent a little.
        if min(child.end_ns, span.end_ns) <= moment and child.start_ns < moment:
            _mark(child)
            moment = child.start_ns
