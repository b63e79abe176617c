"""Traces: what happened to a request, as a tree of spans.

The floor below the session: it knows events and trees, neither models nor servers.
"""

from workbench.trace.span import Span, TensorInfo
from workbench.trace.trace import Trace

__all__ = ["Span", "TensorInfo", "Trace"]
