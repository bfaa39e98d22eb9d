"""Transaction and velocity limits of a confirm (OP-43, CK-070, security.md, reliability.md 42).

A refused try counts nothing: it fails the transaction in which it would have been counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from app.domain.actor import Actor
from app.domain.errors import RateLimited, Unprocessable
from app.domain.rules import velocity
from app.domain.rules.velocity import Limit
from app.kit import clock
from app.models.payments.intent import PaymentIntent
from app.services.risk import counters
from app.services.risk.counters import Key, Reading
from app.services.risk.policy import Policy
from app.services.risk.subjects import Subject

log = structlog.get_logger("till.risk")

#: What a shopper reads; it names no limit, which would tell a card tester how far to go.
CALM = "There have been too many tries. No money has left your account. Wait a little, then try again."


def check_amount(policy: Policy, amount: int, currency: str) -> None:
    """Whether so much may be authorised at once.

    Raises:
        Unprocessable: `tx_limit_exceeded`.
    """
    largest = policy.amounts.largest(currency)
    if largest is not None:
        _refuse_over(largest, amount)


def check_confirms(policy: Policy, intent: PaymentIntent) -> None:
    """Whether the payment may be tried once more; its row is locked.

    Raises:
        Unprocessable: `confirm_limit_exceeded`: it stays so.
    """
    if policy.max_confirms is not None and intent.attempts >= policy.max_confirms:
        raise Unprocessable(
            "This payment was tried too often. No money has left your account.", code="confirm_limit_exceeded"
        )


def keys(policy: Policy, subject: Subject) -> dict[Limit, Key]:
    """The counter of each limit that this subject comes under."""
    return {
        limit: counters.key(
            subject.owner,
            limit.scope,
            subject.values[limit.scope],
            limit.window_seconds,
            subject.currency if limit.max_amount is not None else "",
        )
        for limit in policy.limits
        if limit.scope in subject.values
    }


def check_velocity(
    found: Mapping[Limit, Key], readings: Mapping[str, Reading], subject: Subject, actor: Actor | None
) -> None:
    """Whether this try, which is counted already, fits in every limit.

    Raises:
        RateLimited: `velocity_limit_exceeded`, with the seconds until it would fit.
        Unprocessable: `tx_limit_exceeded`, where it alone is more than a window holds.
    """
    now = clock.now().timestamp()
    for limit, key in found.items():
        if limit.max_amount is not None:
            _refuse_over(limit.max_amount, subject.amount)
        reading = readings[key.bucket]
        wait = _wait(limit.max_count, reading.tries, 1, reading, now) or _wait(
            limit.max_amount, reading.amount, subject.amount, reading, now
        )
        if wait:
            log.warning("velocity_limit_exceeded", tenant_id=subject.tenant_id, name=str(limit.scope))
            told = None if actor is None or actor.is_shopper else {"scope": str(limit.scope)}
            raise RateLimited(wait, CALM, code="velocity_limit_exceeded", explain=told)


def _refuse_over(limit: int, amount: int) -> None:
    if amount > limit:
        raise Unprocessable(
            "The amount is more than is taken in one payment", code="tx_limit_exceeded", field="amount"
        )


def _wait(limit: int | None, pair: tuple[int, int], added: int, reading: Reading, now: float) -> int:
    """Seconds until `added` fits; 0 where it does."""
    if limit is None or reading.sliding(pair, now) <= limit:
        return 0
    return velocity.wait_seconds(
        pair[0] - added,
        pair[1],
        limit - added + 1,
        now=now,
        start=reading.window_start,
        window_seconds=reading.window_seconds,
    )
