"""Rate limits at the door: the general one per key in memory or a shared store, the strict ones exact."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from flask import g
from limits import RateLimitItemPerSecond
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from app import settings
from app.domain.actor import Actor
from app.domain.errors import RateLimited
from app.kit import addresses, clock
from app.services.operations import rate_limits
from app.web.authentication import client_address
from app.web.counters import ProcessCounters

if TYPE_CHECKING:
    from app.web.surface import Policy


@lru_cache(maxsize=2)
def _limiter(url: str) -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(ProcessCounters() if url == "memory://" else storage_from_string(url))


@lru_cache(maxsize=8)
def _per_second(count: int) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(count)


def general(actor: Actor, method: str) -> None:
    """Reads and writes per second and key (security.md).

    Raises:
        RateLimited: too many in this second.
    """
    current = settings.current()
    reads = method == "GET"
    count = current.api_reads_per_second if reads else current.api_writes_per_second
    if not count:
        return
    item, name = _per_second(count), "reads" if reads else "writes"
    limiter = _limiter(current.rate_limit_storage)
    allowed = limiter.hit(item, name, actor.id)
    window = limiter.get_window_stats(item, name, actor.id)
    g.rate_limit = (
        name,
        count,
        max(window.remaining, 0),
        max(0, round(window.reset_time - clock.now().timestamp())),
    )
    if not allowed:
        raise RateLimited(1)


def strict(policy: Policy, actor: Actor | None) -> None:
    """The limit that the contract states for an endpoint.

    Raises:
        RateLimited: no slot is free in the sliding window.
    """
    if policy.limit is None:
        return
    if policy.limit.per == "ip" or actor is None:
        who = addresses.line(client_address())
    else:
        who = actor.tenant_id
    rate_limits.hit(
        policy.contract_id,
        who,
        limit=policy.limit.count,
        window_seconds=policy.limit.window_seconds,
    )
