"""The metrics models make with ``pb_utils.MetricFamily``, kept here as a server keeps them.

Rules and refusals: pb_utils contract §2.10. The stub adds who asked and what for; the texts here are the
server's.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client.utils import floatToGoString

from workbench.errors import MetricError

if TYPE_CHECKING:
    from workbench import _host

__all__ = ["MetricClient", "MetricRegistry"]

COUNTER, GAUGE, HISTOGRAM = 0, 1, 2
_KINDS = ("COUNTER", "GAUGE", "HISTOGRAM")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_DELETED = (
    "Invalid metric operation as the corresponding 'MetricFamily' has been deleted. The 'MetricFamily' "
    "object should be deleted AFTER its corresponding 'Metric' objects have been deleted."
)

Labels = tuple[tuple[str, str], ...]


@dataclass(eq=False)
class _Series:
    """One time series. ``owners`` counts the metric objects that drive it."""

    bounds: tuple[float, ...] = ()
    value: float = 0.0
    total: float = 0.0
    counts: list[int] = field(default_factory=list)
    owners: int = 0
    models: set[str] = field(default_factory=set)  # that ever drove it


@dataclass(eq=False)
class _Family:
    name: str
    description: str
    kind: int
    series: dict[Labels, _Series] = field(default_factory=dict)
    owners: int = 0


@dataclass(eq=False)
class _FamilyHandle:
    family: _Family
    deleted: bool = False


@dataclass(eq=False)
class _MetricHandle:
    handle: _FamilyHandle
    labels: Labels
    series: _Series


class MetricRegistry:
    """Families by name, shared by all models. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._families: dict[str, _Family] = {}
        self._addresses = itertools.count(1)

    def client(self, model: str = "") -> MetricClient:
        """The view of one stub of a model: its addresses, given back when it ends."""
        return MetricClient(self, self._lock, self._families, self._addresses, model)

    def dump(self, model: str = "") -> str:
        """Prometheus text as a server exposes it. Families and label sets in order of name.

        Args:
            model: Only what this model made; all by default.
        """
        lines = []
        with self._lock:
            for family in sorted(self._families.values(), key=lambda each: each.name):
                if model and not any(model in series.models for series in family.series.values()):
                    continue
                lines.append(f"# HELP {family.name} {family.description}")
                lines.append(f"# TYPE {family.name} {_KINDS[family.kind].lower()}")
                for labels, series in sorted(family.series.items(), key=lambda each: each[0]):
                    if model and model not in series.models:
                        continue
                    lines += _exposition(family, labels, series)
        return "\n".join([*lines, ""]) if lines else ""


class MetricClient:
    """Answers the metric calls of one stub."""

    def __init__(
        self,
        registry: MetricRegistry,
        lock: threading.Lock,
        families: dict[str, _Family],
        addresses: itertools.count[int],
        model: str = "",
    ) -> None:
        self._model = model
        self.registry = registry
        self._lock = lock
        self._families = families
        self._addresses = addresses
        self._family_handles: dict[int, _FamilyHandle] = {}
        self._metric_handles: dict[int, _MetricHandle] = {}

    def handle(self, call: _host.MetricCall) -> int | float | None:
        """Do what the call says.

        Raises:
            MetricError: refused; its text goes to the model.
        """
        with self._lock:
            operation = call.operation
            if operation == "family_new":
                return self._family_new(call.name, call.description, call.kind)
            if operation == "family_delete":
                self._family_delete(call.family)
                return None
            if operation == "metric_new":
                return self._metric_new(call)
            if operation == "metric_delete":
                self._metric_delete(call.metric)
                return None
            return self._operate(operation, call.metric, call.value)

    def close(self) -> None:
        """Give back everything the stub did not delete itself. Idempotent."""
        with self._lock:
            for address in list(self._metric_handles):
                self._metric_delete(address)
            for address in list(self._family_handles):
                self._family_delete(address)

    def _family_new(self, name: str, description: str, kind: int) -> int:
        if not _NAME.fullmatch(name):
            raise MetricError("Invalid metric name")
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = _Family(name, description, kind)
        elif family.kind != kind:
            raise MetricError("Family name already exists with different type")
        family.owners += 1
        address = next(self._addresses)
        self._family_handles[address] = _FamilyHandle(family)
        return address

    def _family_delete(self, address: int) -> None:
        handle = self._family_handles.pop(address, None)
        if handle is None:
            return
        handle.deleted = True
        handle.family.owners -= 1
        if handle.family.owners == 0 and self._families.get(handle.family.name) is handle.family:
            del self._families[handle.family.name]

    def _metric_new(self, call: _host.MetricCall) -> int:
        handle = self._family_handles.get(call.family)
        if handle is None:
            raise MetricError(_DELETED)
        family = handle.family
        try:
            given = json.loads(call.labels or "{}") or {}
        except ValueError:
            raise MetricError("failed to parse the labels") from None
        if not all(isinstance(value, str) for value in given.values()):
            raise MetricError("attempt to access JSON non-string as string")
        labels: Labels = tuple(sorted(given.items()))
        bounds = tuple(call.buckets) if family.kind == HISTOGRAM else ()
        if any(second <= first for first, second in itertools.pairwise(bounds)):
            raise MetricError("Bucket Boundaries must be strictly sorted")
        series = family.series.get(labels)
        if series is None:
            series = family.series[labels] = _Series(bounds, counts=[0] * (len(bounds) + 1))
        series.owners += 1
        series.models.add(self._model)
        address = next(self._addresses)
        self._metric_handles[address] = _MetricHandle(handle, labels, series)
        return address

    def _metric_delete(self, address: int) -> None:
        metric = self._metric_handles.pop(address, None)
        if metric is None:
            return
        metric.series.owners -= 1
        family = metric.handle.family
        if metric.series.owners == 0 and family.series.get(metric.labels) is metric.series:
            del family.series[metric.labels]

    def _operate(self, operation: str, address: int, value: float) -> float | None:
        metric = self._metric_handles.get(address)
        if metric is None or metric.handle.deleted:
            raise MetricError(_DELETED)
        kind, series = metric.handle.family.kind, metric.series
        allowed = {
            "increment": kind != HISTOGRAM,
            "set": kind == GAUGE,
            "observe": kind == HISTOGRAM,
            "value": kind != HISTOGRAM,
        }
        if not allowed[operation]:
            raise MetricError(
                f"TRITONSERVER_METRIC_KIND_{_KINDS[kind]} does not support {operation.capitalize()}"
            )
        if operation == "value":
            return series.value
        if operation == "set":
            series.value = value
        elif operation == "increment":
            if kind == COUNTER and value < 0:
                raise MetricError(
                    "TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically by "
                    "non-negative values."
                )
            series.value += value
        else:
            series.total += value
            series.counts[bisect.bisect_left(series.bounds, value)] += 1
        return None


def _exposition(family: _Family, labels: Labels, series: _Series) -> list[str]:
    if family.kind != HISTOGRAM:
        return [f"{family.name}{_braces(labels)} {_number(series.value)}"]
    count = sum(series.counts)
    lines = [
        f"{family.name}_count{_braces(labels)} {count}",
        f"{family.name}_sum{_braces(labels)} {_number(series.total)}",
    ]
    for bound, reached in zip((*series.bounds, math.inf), itertools.accumulate(series.counts), strict=True):
        lines.append(f"{family.name}_bucket{_braces((*labels, ('le', _number(bound))))} {reached}")
    return lines


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = (
        (name, value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')) for name, value in labels
    )
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"


def _number(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text.removesuffix(".0")
