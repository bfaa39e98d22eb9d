"""Python's cyclic garbage collector, set for a process that serves for long: it looks seldom, and at what is new."""

from __future__ import annotations

import gc

#: New objects that may be kept before the youngest are looked through; Python's own 700 are a tenth of a request.
YOUNG = 20_000
#: Collections of a generation before the next older one is looked through.
OLDER = 20


def settle() -> None:
    """Call once everything is loaded: that is set aside for good, and what comes is collected in larger heaps."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
