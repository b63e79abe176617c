"""What recording costs: a round trip with it on against off, in turns; and one event of the ring."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

import workbench as wb
from workbench import _host

from .support import MODELS, percentile, show

_SIZES = (16, 64 << 10)
_TURNS = 40
_IN_TURN = 250
_EVENTS = 200_000


def _turn(call: object, count: int) -> list[float]:
    samples = []
    for _ in range(count):
        start = time.perf_counter()
        call()  # type: ignore[operator]
        samples.append(time.perf_counter() - start)
    return samples


def _round_trips(size: int) -> list[str]:
    recorder = wb.current().recorder
    model = wb.current().models["identity"]
    inputs = {"INPUT": np.arange(size // 4, dtype=np.float32)}

    def call() -> object:
        return model.infer(inputs)

    _turn(call, 500)
    samples: dict[bool, list[float]] = {True: [], False: []}
    ratios = []
    for turn in range(_TURNS):
        # Neighbours in time, and each goes first as often: the machine's moods hit both alike.
        pair = {}
        for enabled in (True, False) if turn % 2 else (False, True):
            recorder.enabled = enabled
            found = _turn(call, _IN_TURN)
            samples[enabled] += found
            pair[enabled] = percentile(found, 0.5)
        ratios.append(pair[True] / pair[False])
    recorder.enabled = True
    on, off = percentile(samples[True], 0.5), percentile(samples[False], 0.5)
    return [
        f"{size:,}",
        f"{off * 1e6:.2f}",
        f"{on * 1e6:.2f}",
        f"{(on / off - 1) * 100:+.1f} %",
        f"{(median(ratios) - 1) * 100:+.1f} %",
    ]


def _event_ns() -> float:
    """Seen from Python: the call and the conversion of its arguments are part of it."""
    tap = _host.Tap(4 << 20)
    tensors = [("INPUT", 11, (4,), 16)]
    begin = tap.begin
    best = float("inf")
    for _ in range(20):  # the quietest twentieth
        start = time.perf_counter()
        for span in range(1, _EVENTS // 20 + 1):
            begin(span, "identity", tensors, 0)
        best = min(best, (time.perf_counter() - start) / (_EVENTS // 20))
    return best * 1e9


def main() -> None:
    """Print the table."""
    source = MODELS / "identity" / "1" / "model.py"
    wb.define("identity", source=source, inputs=["INPUT:FP32[-1]"], outputs=["OUTPUT:FP32[-1]"])
    rows = [_round_trips(size) for size in _SIZES]
    show(
        "Recording on against off, in turns (identity)",
        ["bytes", "off p50 µs", "on p50 µs", "p50 of all", "median of pairs"],
        rows,
    )
    show("One event with one tensor", ["ns, seen from Python"], [[f"{_event_ns():.0f}"]])
    wb.current().close()


if __name__ == "__main__":
    main()
