"""Rate limits at the door: the general one per key and second, and the contract's strict ones.

What is left of each goes out as RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10):
lists of policies by name, with quota `q` and window `w`, remaining `r` and seconds to the reset `t`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, Response, current_app, g

from app import settings
from app.domain.actor import Actor
from app.domain.errors import RateLimited
from app.kit import addresses, clock
from app.services.operations import rate_limits
from app.web import counters
from app.web.authentication import client_address
from app.web.counters import Counters

if TYPE_CHECKING:
    from app.web.surface import Policy

_EXTENSION = "till_rate_counters"


@dataclass(frozen=True, slots=True)
class Shown:
    """What an answer tells of one limit."""

    name: str
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int


def install(app: Flask) -> None:
    """Open the store of the general limits, so that one that cannot be is told at the start.

    Raises:
        SettingsError: there is no such store.
    """
    app.extensions[_EXTENSION] = counters.make(settings.current())


def general(actor: Actor, method: str) -> None:
    """Reads and writes per second and key (security.md).

    Raises:
        RateLimited: too many in this second.
    """
    current = settings.current()
    reads = method == "GET"
    quota = current.api_reads_per_second if reads else current.api_writes_per_second
    if not quota:
        return
    name = "reads" if reads else "writes"
    store: Counters = current_app.extensions[_EXTENSION]
    calls, ends = store.count(f"{name}/{actor.id}", 1)
    wait = max(0, math.ceil(ends - clock.now().timestamp()))
    _show(Shown(name, quota, 1, max(0, quota - calls), wait))
    if calls > quota:
        raise RateLimited(max(1, wait))


def strict(policy: Policy, actor: Actor | None) -> None:
    """The limit that the contract states for an endpoint.

    Raises:
        RateLimited: no slot is free in the sliding window.
    """
    limit = policy.limit
    if limit is None:
        return
    if limit.per == "ip" or actor is None:
        who = addresses.line(client_address())
    else:
        who = actor.tenant_id
    try:
        left = rate_limits.hit(
            policy.contract_id, who, limit=limit.count, window_seconds=limit.window_seconds
        )
    except RateLimited as refused:
        _show(Shown(policy.contract_id, limit.count, limit.window_seconds, 0, refused.retry_after))
        raise
    _show(Shown(policy.contract_id, limit.count, limit.window_seconds, left.remaining, left.reset_seconds))


def tell(response: Response) -> None:
    """Put what is left of each limit that was looked at into the headers."""
    shown: list[Shown] | None = g.get("rate_limits")
    if shown:
        policies = (f'"{item.name}";q={item.quota};w={item.window_seconds}' for item in shown)
        left = (f'"{item.name}";r={item.remaining};t={item.reset_seconds}' for item in shown)
        response.headers["RateLimit-Policy"] = ", ".join(policies)
        response.headers["RateLimit"] = ", ".join(left)


def _show(item: Shown) -> None:
    if "rate_limits" in g:
        g.rate_limits.append(item)
    else:
        g.rate_limits = [item]
