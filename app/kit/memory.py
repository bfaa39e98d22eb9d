"""Python's collector of cyclic garbage, set for a process that serves for long."""

from __future__ import annotations

import gc

#: New objects before the youngest are looked through; Python's own 700 are a small part of a request.
YOUNG = 20_000
#: Collections of a generation before the next older one is looked through.
OLDER = 20


def settle() -> None:
    """Call once everything is loaded: that is looked through no more, and what comes seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
