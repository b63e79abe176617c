"""The metrics registry: rules and refusals of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from workbench.errors import MetricError
from workbench.session.metrics import COUNTER, GAUGE, HISTOGRAM, MetricClient, MetricRegistry


@dataclass
class Call:
    """What the native host hands over."""

    operation: str
    name: str = ""
    description: str = ""
    kind: int = 0
    labels: str = ""
    buckets: list[float] = field(default_factory=list)
    has_buckets: bool = False
    value: float = 0.0
    family: int = 0
    metric: int = 0


def ask(client: MetricClient, operation: str, **operands: Any) -> Any:
    return client.handle(Call(operation, **operands))  # type: ignore[arg-type]


def metric(client: MetricClient, kind: int, name: str = "f", **operands: Any) -> int:
    family = ask(client, "family_new", name=name, description=f"about {name}", kind=kind)
    return int(ask(client, "metric_new", family=family, **operands))


def refused(client: MetricClient, operation: str, **operands: Any) -> str:
    with pytest.raises(MetricError) as caught:
        ask(client, operation, **operands)
    return str(caught.value)


@pytest.fixture
def client() -> MetricClient:
    return MetricRegistry().client()


def test_a_counter_counts_up_only(client: MetricClient) -> None:
    counter = metric(client, COUNTER)
    assert ask(client, "value", metric=counter) == 0.0
    ask(client, "increment", metric=counter, value=2.5)
    assert ask(client, "value", metric=counter) == 2.5
    assert refused(client, "increment", metric=counter, value=-1) == (
        "TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically by non-negative values."
    )
    assert refused(client, "set", metric=counter) == "TRITONSERVER_METRIC_KIND_COUNTER does not support Set"
    assert (
        refused(client, "observe", metric=counter)
        == "TRITONSERVER_METRIC_KIND_COUNTER does not support Observe"
    )


def test_a_gauge_goes_anywhere(client: MetricClient) -> None:
    gauge = metric(client, GAUGE)
    ask(client, "set", metric=gauge, value=3)
    ask(client, "increment", metric=gauge, value=-5)
    assert ask(client, "value", metric=gauge) == -2
    assert (
        refused(client, "observe", metric=gauge) == "TRITONSERVER_METRIC_KIND_GAUGE does not support Observe"
    )


def test_a_histogram_only_observes(client: MetricClient) -> None:
    histogram = metric(client, HISTOGRAM, buckets=[0.1, 1.0], has_buckets=True)
    for operation in ("value", "set", "increment"):
        assert refused(client, operation, metric=histogram) == (
            f"TRITONSERVER_METRIC_KIND_HISTOGRAM does not support {operation.capitalize()}"
        )
    ask(client, "observe", metric=histogram, value=0.1)  # a bound belongs to its own bucket
    assert metric(client, HISTOGRAM, "g", buckets=[], has_buckets=True) > 0
    with pytest.raises(MetricError, match="Bucket Boundaries must be strictly sorted"):
        metric(client, HISTOGRAM, "h", buckets=[1.0, 1.0], has_buckets=True)


def test_names(client: MetricClient) -> None:
    assert refused(client, "family_new", name="bad name", kind=GAUGE) == "Invalid metric name"
    metric(client, COUNTER)
    assert (
        refused(client, "family_new", name="f", kind=GAUGE)
        == "Family name already exists with different type"
    )
    family = ask(client, "family_new", name="g", kind=GAUGE)
    assert refused(client, "metric_new", family=family, labels='{"a": 1}') == (
        "attempt to access JSON non-string as string"
    )


def test_the_same_labels_drive_one_series() -> None:
    registry = MetricRegistry()
    one, other = registry.client(), registry.client()
    first = metric(one, COUNTER, labels='{"a": "b"}')
    second = metric(other, COUNTER, labels='{"a": "b"}')
    ask(one, "increment", metric=first, value=1)
    ask(other, "increment", metric=second, value=1)
    assert ask(one, "value", metric=first) == 2
    one.close()
    assert 'f{a="b"} 2' in registry.dump()  # the other still owns it
    other.close()
    assert registry.dump() == ""


def test_a_deleted_family_takes_its_metrics_along(client: MetricClient) -> None:
    family = ask(client, "family_new", name="f", kind=COUNTER)
    counter = ask(client, "metric_new", family=family)
    ask(client, "family_delete", family=family)
    assert refused(client, "increment", metric=counter, value=1).startswith(
        "Invalid metric operation as the corresponding 'MetricFamily' has been deleted."
    )


def test_the_dump_is_prometheus_text() -> None:
    registry = MetricRegistry()
    client = registry.client()
    gauge = metric(client, GAUGE, "n4", labels='{"x": "a\\"b", "w": "z"}')
    ask(client, "set", metric=gauge, value=1.5)
    histogram = metric(client, HISTOGRAM, "n3", labels='{"l": "1"}', buckets=[0.1, 1.0], has_buckets=True)
    ask(client, "observe", metric=histogram, value=0.5)
    text = registry.dump()
    assert text.splitlines() == [
        "# HELP n3 about n3",
        "# TYPE n3 histogram",
        'n3_count{l="1"} 1',
        'n3_sum{l="1"} 0.5',
        'n3_bucket{l="1",le="0.1"} 0',
        'n3_bucket{l="1",le="1"} 1',
        'n3_bucket{l="1",le="+Inf"} 1',
        "# HELP n4 about n4",
        "# TYPE n4 gauge",
        'n4{w="z",x="a\\"b"} 1.5',
    ]
    parsed = {each.name: each for each in text_string_to_metric_families(text)}
    assert parsed["n4"].samples[0].labels == {"x": 'a"b', "w": "z"}
