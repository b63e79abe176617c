"""Trace data that fit into a message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["cut_data"]

_CAP = 100_000  # bytes of JSON that a view is given


def cut_data(data: Mapping[str, Any], cap: int = _CAP) -> dict[str, Any]:
    """Trace data of at most about `cap` bytes: spans beyond are left out, and counted in ``more``."""
    left = cap - 1_000
    more = 0

    def cut(span: Mapping[str, Any]) -> dict[str, Any]:
        made = {key: value for key, value in span.items() if key != "children"}
        made["children"] = []
        return made

    root = cut(data["root"])
    # Level by level: what is cut is what lies deepest and latest.
    level = [(root, data["root"])]
    while level:
        below = []
        for made, source in level:
            for child in source["children"]:
                copy = cut(child)
                left -= len(json.dumps(copy))
                if left < 0:
                    more += _count(child)
                    continue
                made["children"].append(copy)
                below.append((copy, child))
        level = below
    return {**data, "root": root, "more": more}


def _count(span: Mapping[str, Any]) -> int:
    return 1 + sum(_count(each) for each in span["children"])
