"""Custom metrics: arguments, operations, refusals, and what is exported. Section 2.10."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any

import numpy as np
import pytest

from tests.conformance.lab import Lab, agrees, upstream_breaks
from tests.conformance.targets import Target, config, until

_names = (f"wb_metric_{i}" for i in itertools.count(1))

_HELPERS = """
def bare(kind='COUNTER', name=None, description='d'):
    return pb_utils.MetricFamily(name=name or N, description=description, kind=getattr(pb_utils.MetricFamily, kind))
families = []
def family(*arguments, **options):
    families.append(bare(*arguments, **options))    # a family must outlive its metrics
    return families[-1]
def refused(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


@pytest.fixture
def metrics(lab: Lab) -> Any:
    def run(code: str) -> str:
        """Run code with a family name N of its own."""
        return lab.run(f"N = {next(_names)!r}\n{_HELPERS}\n{textwrap.dedent(code)}")

    return run


def _kept_name(metrics: Any, code: str) -> str:
    """Run code that keeps its objects; the family's name."""
    return str(eval(metrics(code + "\nkept[N] = list(locals().values())\nresult = N")))


@pytest.mark.parametrize(
    "code, expected",
    [
        ("m = family().Metric(labels={'a': 'b'})\nresult = m.value()", "0.0"),
        ("m = family().Metric(labels={'a': 'b'})\nm.increment(2)\nm.increment(0.5)\nresult = m.value()", "2.5"),
        ("m = family('GAUGE').Metric(labels={'a': 'b'})\nm.set(7)\nm.increment(-2.5)\nresult = m.value()", "4.5"),
        ("m = family('HISTOGRAM').Metric(labels={'a': 'b'}, buckets=[0.1, 1.0])\nresult = m.observe(0.5)", "None"),
        ("f = family()\na, b = f.Metric(labels={'x': '1'}), f.Metric(labels={'x': '1'})\na.increment(1)\nb.increment(2)\n"
         "result = (a.value(), b.value())", "(3.0, 3.0)"),
        ("f = family()\na, b = f.Metric(), f.Metric(labels={})\na.increment(1)\nresult = b.value()", "1.0"),
        ("f = family()\na, b = f.Metric(labels={'x': '1'}), f.Metric(labels={'x': '2'})\na.increment(1)\nresult = b.value()",
         "0.0"),
        ("a = family().Metric(labels={'x': '1'})\nb = family(description='other').Metric(labels={'x': '1'})\n"
         "result = 'made'", "'made'"),
        ("f, g = family(), family()\na, b = f.Metric(labels={'x': '1'}), g.Metric(labels={'x': '1'})\na.increment(1)\n"
         "result = b.value()", "1.0"),
        ("m = family('HISTOGRAM').Metric(buckets=[])\nresult = m.observe(1)", "None"),
        ("result = [int(getattr(pb_utils.MetricFamily, k)) for k in ('COUNTER', 'GAUGE', 'HISTOGRAM')]", "[0, 1, 2]"),
    ],
    ids=["zero", "counter", "gauge", "histogram", "same-labels", "no-labels", "other-labels", "same-family",
         "family-shared", "no-buckets", "kinds"],
)  # fmt: skip
def test_operation(metrics: Any, code: str, expected: str) -> None:
    assert metrics(code) == expected


_M = "TritonModelException: "
_P = "Failed to process the request for model '{X}', message: "


@pytest.mark.parametrize(
    "call, expected",
    [
        # Refused by the constructor's types: no message is exchanged.
        ("pb_utils.MetricFamily()", "TypeError: …"),
        ("pb_utils.MetricFamily(name=N, description='d')", "TypeError: …"),
        ("pb_utils.MetricFamily(name=None, description='d', kind=pb_utils.MetricFamily.COUNTER)", "TypeError: …"),
        ("pb_utils.MetricFamily(name=N, description=None, kind=pb_utils.MetricFamily.COUNTER)", "TypeError: …"),
        ("pb_utils.MetricFamily(name=N, description='d', kind=None)", "TypeError: …"),
        ("pb_utils.MetricFamily(name=N, description='d', kind='counter')", "TypeError: …"),
        # Refused by the stub.
        ("family().Metric(labels=[1])", _M + "Failed to create metric. Labels must be a dictionary."),
        ("family('HISTOGRAM').Metric(labels={})", _M + "Failed to create metric. Missing required buckets."),
        ("family('HISTOGRAM').Metric(labels={}, buckets=None)", _M + "Failed to create metric. Missing required buckets."),
        ("family('HISTOGRAM').Metric(labels={}, buckets=(1, 2))", _M + "Failed to create metric. Buckets must be a list."),
        ("family().Metric(labels={}, buckets=[1])", _M + "Failed to create metric. Unexpected buckets found."),
        ("family('GAUGE').Metric(labels={}, buckets=[1])", _M + "Failed to create metric. Unexpected buckets found."),
    ],
)  # fmt: skip
def test_arguments(metrics: Any, call: str, expected: str) -> None:
    assert agrees(eval(metrics(f"result = refused(lambda: {call})")), expected)


@pytest.mark.parametrize(
    "call, expected",
    [
        ("family(name='bad name')", "Error when creating MetricFamily: " + _P + "Invalid metric name"),
        ("(family(), family('GAUGE'))", "Error when creating MetricFamily: " + _P
         + "Family name already exists with different type"),
        ("family().Metric(labels={'a': 5})", "Error when creating Metric: " + _P
         + "attempt to access JSON non-string as string"),
        ("family('HISTOGRAM').Metric(buckets=[2.0, 1.0])", "Error when creating Metric: " + _P
         + "Bucket Boundaries must be strictly sorted"),
        ("family('HISTOGRAM').Metric(buckets=[1.0, 1.0])", "Error when creating Metric: " + _P
         + "Bucket Boundaries must be strictly sorted"),
        ("family().Metric().increment(-1)", "Failed to increment metric value: " + _P
         + "TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically by non-negative values."),
        ("family().Metric().set(1)", "Failed to set metric value: " + _P + "TRITONSERVER_METRIC_KIND_COUNTER does not support Set"),
        ("family().Metric().observe(1)", "Failed to observe metric value: " + _P
         + "TRITONSERVER_METRIC_KIND_COUNTER does not support Observe"),
        ("family('GAUGE').Metric().observe(1)", "Failed to observe metric value: " + _P
         + "TRITONSERVER_METRIC_KIND_GAUGE does not support Observe"),
        ("family('HISTOGRAM').Metric(buckets=[1]).value()", "Failed to get metric value: " + _P
         + "TRITONSERVER_METRIC_KIND_HISTOGRAM does not support Value"),
        ("family('HISTOGRAM').Metric(buckets=[1]).set(1)", "Failed to set metric value: " + _P
         + "TRITONSERVER_METRIC_KIND_HISTOGRAM does not support Set"),
        ("family('HISTOGRAM').Metric(buckets=[1]).increment(1)", "Failed to increment metric value: " + _P
         + "TRITONSERVER_METRIC_KIND_HISTOGRAM does not support Increment"),
    ],
)  # fmt: skip
def test_refusal(target: Target, lab: Lab, metrics: Any, call: str, expected: str) -> None:
    """Refused by the parent, with the verb before its text."""
    upstream_breaks(
        target, "a refused metric call frees text that is still read; after some of them the server aborts"
    )
    wanted = _M + expected.replace("{X}", lab.model().instance)
    assert eval(metrics(f"result = refused(lambda: {call})")) == wanted


def test_family_deleted_first(metrics: Any) -> None:
    expected = (
        "TritonModelException: Failed to increment metric value: Invalid metric operation as the corresponding 'MetricFamily' has"
        " been deleted. The 'MetricFamily' object should be deleted AFTER its corresponding 'Metric' objects have been deleted."
    )
    code = "f = bare()\nm = f.Metric()\ndel f\ngc.collect()\nresult = refused(lambda: m.increment(1))"
    assert eval(metrics(code)) == expected


def test_exposition(target: Target, metrics: Any) -> None:
    gauge = _kept_name(
        metrics,
        "f = family('GAUGE', description='gd')\nm = f.Metric(labels={'x': 'y', 'z': 'w'})\nm.set(1.5)",
    )
    histogram = _kept_name(
        metrics,
        "f = family('HISTOGRAM', description='hd')\nm = f.Metric(labels={'l': '1'}, buckets=[0.1, 1.0, 2.5])\nm.observe(0.5)",
    )
    counter = _kept_name(metrics, "f = family(description='cd')\nm = f.Metric()\nm.increment(3)")
    text = target.metrics()
    lines = text.splitlines()
    wanted = [
        *(f"# HELP {gauge} gd", f"# TYPE {gauge} gauge"),
        *(f"# HELP {histogram} hd", f"# TYPE {histogram} histogram"),
        *(
            f'{histogram}_count{{l="1"}} 1',
            f'{histogram}_sum{{l="1"}} 0.5',
            f'{histogram}_bucket{{l="1",le="0.1"}} 0',
        ),
        *(f'{histogram}_bucket{{l="1",le="1"}} 1', f'{histogram}_bucket{{l="1",le="2.5"}} 1'),
        f'{histogram}_bucket{{l="1",le="+Inf"}} 1',
        *(f"# HELP {counter} cd", f"# TYPE {counter} counter", f"{counter} 3"),
    ]
    assert [line for line in wanted if line not in lines] == []
    assert f'{gauge}{{x="y",z="w"}} 1.5' in lines or f'{gauge}{{z="w",x="y"}} 1.5' in lines


def test_first_description_stays(target: Target, metrics: Any) -> None:
    name = _kept_name(metrics, "f = bare(description='first')\ng = bare(description='second')\nm = g.Metric()\nm.increment(1)\n"
                               "del f\ngc.collect()")  # fmt: skip
    assert f"# HELP {name} first" in target.metrics()
    assert f"# HELP {name} second" not in target.metrics()


def test_series_lives_while_owned(target: Target, metrics: Any) -> None:
    name = _kept_name(metrics, "f = family()\na = f.Metric(labels={'o': '1'})\nb = f.Metric(labels={'o': '1'})\na.increment(4)\n"
                               "del a\ngc.collect()")  # fmt: skip
    assert until(lambda: f'{name}{{o="1"}} 4' in target.metrics())


_PHASES = """
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        self.family = pb_utils.MetricFamily("{name}", "d", pb_utils.MetricFamily.COUNTER)
        self.metric = self.family.Metric(labels={{"m": "1"}})
        self.metric.increment(1)
    def execute(self, requests):
        self.metric.increment(10)
        return [pb_utils.InferenceResponse([]) for _ in requests]
    def finalize(self):
        self.metric.increment(100)
        pb_utils.Logger.log_info(f"{name} ends at {{self.metric.value()}}")
        del self.metric
        del self.family
"""


def _phases(name: str, instances: int) -> tuple[str, str]:
    return _PHASES.format(name=name), config(
        [("IN", "INT32", [1])], [("OUT", "INT32", [1])], instances=instances
    )


def test_in_every_phase(target: Target) -> None:
    """initialize, execute, and finalize."""
    name = next(_names)
    model = target.load(*_phases(name, 1), name="metered")
    assert f'{name}{{m="1"}} 1' in target.metrics()
    assert model.infer(IN=np.array([1], dtype=np.int32)).error is None
    assert f'{name}{{m="1"}} 11' in target.metrics()
    mark = target.log_mark()
    model.unload()
    assert f"{name} ends at 111.0" in target.wait_log(f"{name} ends", mark)


def test_instances_share_a_series(target: Target) -> None:
    name = next(_names)
    # A server of its own, left without an unload: NVIDIA's corrupts its heap, or hangs, when instances that share a
    # family are unloaded, with either stub. The live host has to finalize each of them.
    with target.another() as other:
        model = other.load(*_phases(name, 3), name="metered")
        assert f'{name}{{m="1"}} 3' in other.metrics()
        assert model.infer(IN=np.array([1], dtype=np.int32)).error is None
        assert f'{name}{{m="1"}} 13' in other.metrics()
        if target.host == "live":
            mark = other.log_mark()
            model.unload()
            assert other.wait_log(f"{name} ends", mark, count=3).count(f"{name} ends") == 3


def test_thousand_refusals(target: Target) -> None:
    upstream_breaks(target, "the server aborts with lock_exception after about seven refused metric calls")
    code = f"""
N = "wb_refused"
{_HELPERS}
m = family().Metric()
texts = {{refused(lambda: m.increment(-1)) for _ in range(1000)}}
labels = {{refused(lambda: family().Metric(labels={{'a': 5}})) for _ in range(1000)}}
kinds = {{refused(lambda: family('GAUGE')) for _ in range(1000)}}
result = (len(texts), len(labels), len(kinds), m.value())
"""
    with target.another() as other:
        assert Lab(other).run(code) == "(1, 1, 1, 0.0)"
