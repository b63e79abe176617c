""" "Did you mean": one rule for every unknown word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` for the nearest known word, or ""."""
    names = list(known)
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return f" (did you mean {folded[near[0]]}?)" if near else ""


def listing(names: Iterable[str]) -> str:
    """``known: a, b`` in order, or ``none yet``."""
    known = sorted(names)
    return f"known: {', '.join(known)}" if known else "none yet"
