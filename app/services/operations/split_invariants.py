"""Invariants of split payments: the whole is the sum of its parts, and what is undone holds no money."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from app.domain.lifecycles import attempts as attempt_lifecycle
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.operations.violations import Violation

_SUMS = ("amount_captured", "amount_refunding", "amount_refunded", "amount_disputed")


def _wholes_are_their_parts(db: Session) -> Iterator[Violation]:
    """Once it has succeeded, each sum of a split payment is that of its parts."""
    part = aliased(PaymentIntent)
    totals = [func.coalesce(func.sum(getattr(part, name)), 0) for name in _SUMS]
    own = [getattr(PaymentIntent, name) for name in _SUMS]
    statement = (
        select(PaymentIntent.id, *own, *totals)
        .outerjoin(part, (part.parent_intent_id == PaymentIntent.id) & part.part.is_not(None))
        .where(PaymentIntent.split, PaymentIntent.status == "succeeded")
        .group_by(PaymentIntent.id, *own)
    )
    for whole_id, *figures in db.execute(statement):
        mine, theirs = figures[: len(_SUMS)], figures[len(_SUMS) :]
        if mine != theirs:
            yield Violation("wholes_are_their_parts", whole_id, f"{mine} above, {theirs} below")


def _nothing_is_left_of_what_ended(db: Session) -> Iterator[Violation]:
    """A part that was replaced, or whose whole has not succeeded and is over, holds and keeps nothing."""
    whole = aliased(PaymentIntent)
    statement = (
        select(PaymentIntent.id, Attempt.status)
        .join(Attempt, Attempt.intent_id == PaymentIntent.id)
        .join(whole, whole.id == PaymentIntent.parent_intent_id)
        .where(
            Attempt.status.not_in(attempt_lifecycle.DEAD),
            PaymentIntent.part.is_(None) | whole.status.in_(("failed", "canceled")),
            PaymentIntent.amount_captured == 0,
        )
    )
    for part_id, status in db.execute(statement):
        yield Violation("nothing_is_left_of_what_ended", part_id, f"its charge is {status}")
    kept = (
        select(PaymentIntent.id, PaymentIntent.amount_captured, PaymentIntent.amount_refunding)
        .join(whole, whole.id == PaymentIntent.parent_intent_id)
        .where(
            PaymentIntent.part.is_(None) | whole.status.in_(("failed", "canceled")),
            PaymentIntent.amount_refunding + PaymentIntent.amount_disputed < PaymentIntent.amount_captured,
        )
    )
    for part_id, captured, back in db.execute(kept):
        yield Violation(
            "nothing_is_left_of_what_ended", part_id, f"{captured} captured, {back} on its way back"
        )


RULES: tuple[Callable[[Session], Iterator[Violation]], ...] = (
    _wholes_are_their_parts,
    _nothing_is_left_of_what_ended,
)
