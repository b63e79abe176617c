""" "Did you mean": one rule for every unknown word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` for the nearest known word, or ""."""
    names = sorted(known)
    folded = {_fold(name): name for name in reversed(names)}
    near = difflib.get_close_matches(_fold(word), list(folded), n=1, cutoff=0.6)
    return f" (did you mean {folded[near[0]]}?)" if near else ""


def _fold(word: str) -> str:
    """Without case, and with letters that look like digits as those digits: INPUTO is nearest to INPUT0."""
    return word.casefold().translate(str.maketrans("oil", "011"))


def listing(names: Iterable[str]) -> str:
    """``known: a, b`` in order, or ``none yet``."""
    known = sorted(names)
    return f"known: {', '.join(known)}" if known else "none yet"
