"""``python -m tests.benchmarks [NAME…]``: all benchmarks, or those named."""

from __future__ import annotations

import importlib
import sys

NAMES = ("round_trip", "calls", "reload", "inspect", "tracing")

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(NAMES)
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        raise SystemExit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    for name in wanted:
        importlib.import_module(f"tests.benchmarks.{name}").main()
