"""BenchView: how long requests took, and how long they took the time before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.widgets.base import View, module, style

if TYPE_CHECKING:
    from workbench.session.bench import BenchResult

__all__ = ["BenchView", "bench_data", "show"]

_BINS = 40
_MARKS = ("p50", "p90", "p99")


class BenchView(View):
    """Stands still: a measurement is over when it is shown."""

    _esm = module("bench_view")
    _css = style("bench_view")

    def __init__(self, result: BenchResult) -> None:
        super().__init__(result._repr_mimebundle_(), bench_data(result))


def bench_data(result: BenchResult) -> dict[str, Any]:
    """Two histograms over the same bins, the quantiles, and the change between them.

    The bins cover what nearly all requests took (the 99.5th percentile); slower ones are in the last bin.
    """
    runs = [result, *([result.previous] if result.previous is not None else [])]
    everything = np.concatenate([each.latencies for each in runs])
    low, high = float(everything.min()), float(np.percentile(everything, 99.5))
    edges = np.linspace(low, max(high, low * 1.001 + 1e-9), _BINS + 1)
    return {
        "model": result.model,
        "edges_us": [round(float(each) * 1e6, 3) for each in edges],
        "runs": [_run(each, edges) for each in runs],
    }


def _run(result: BenchResult, edges: np.ndarray) -> dict[str, Any]:
    counts, _ = np.histogram(np.clip(result.latencies, edges[0], edges[-1]), edges)
    return {
        "src": result.src,
        "count": len(result.latencies),
        "warmup": result.warmup,
        "concurrency": result.concurrency,
        "counts": [int(each) for each in counts],
        "marks_us": {name: round(getattr(result, name) * 1e6, 3) for name in _MARKS},
        "mean_us": round(result.mean * 1e6, 3),
        "max_us": round(result.max * 1e6, 3),
        "rate": round(result.rate, 3),
    }


def show(result: BenchResult) -> None:
    """Display a measurement as a histogram."""
    from IPython.display import display

    display(BenchView(result))
