"""Trying parts: each at the same time, each within its own time (PY-084, CK-073).

A part that does not answer in time, or breaks, is down, and the others are still told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from app.services.operations.health import State

#: How long one part may take.
SECONDS = 2.0
#: Probes that hang hold a thread; when all are held, further ones count as not answered.
_POOL = ThreadPoolExecutor(16, thread_name_prefix="probe")

Details = dict[str, Any]
#: A look at a part: how it does, and what was seen.
Look = Callable[[], tuple[State, Details]]


@dataclass(frozen=True, slots=True)
class Part:
    """One part: how it does, how long the look took, and what was seen."""

    state: State
    latency_ms: int | None = None
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """All parts by name; the worst tells of the whole."""

    parts: dict[str, Part]

    @property
    def state(self) -> State:
        """The worst of all."""
        return worst(part.state for part in self.parts.values())


def worst(states: Iterable[State]) -> State:
    """The worst of some states; of none it is fine."""
    found = set(states)
    return next((state for state in (State.DOWN, State.DEGRADED) if state in found), State.OK)


def try_all(looks: Mapping[str, Look]) -> dict[str, Part]:
    """Look at every part at the same time; never raises."""
    asked = {name: _start(look) for name, look in looks.items()}
    ends = time.monotonic() + SECONDS
    return {name: _await(future, ends) for name, future in asked.items()}


def _start(look: Look) -> Future[Part]:
    def timed() -> Part:
        began = time.monotonic()
        state, details = look()
        return Part(state, round((time.monotonic() - began) * 1000), details)

    return _POOL.submit(timed)


def _await(future: Future[Part], ends: float) -> Part:
    try:
        return future.result(max(0.0, ends - time.monotonic()))
    except TimeoutError:
        future.cancel()
        return Part(State.DOWN, None, {"error": "no answer in time"})
    except Exception as error:  # whatever it is, the part does not work
        return Part(State.DOWN, None, {"error": type(error).__name__})
