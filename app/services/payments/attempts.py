"""Attempts: opening one before the gateway hears of it, finding it again, and what hangs on it (`Flow`).

What became of an attempt is written by services/payments/recording.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.connectors.base import ActionType
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict
from app.domain.lifecycles import attempts as lifecycle
from app.domain.lifecycles import intents
from app.kit import clock
from app.kit.ids import new_id, random_token
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.payments import claims
from app.services.risk.opinions import Opinion
from app.services.risk.screening import screen

#: A call to a gateway ends well before this; until then the sweep leaves an attempt to its caller.
GRACE_SECONDS = 30

#: Nothing for the shopper to do: the gateway has yet to say what became of it.
_WAIT = {"type": str(ActionType.AWAITING_WEBHOOK)}

_S, _T, _I = lifecycle.Status, lifecycle.Trigger, intents.Trigger


@dataclass(frozen=True, slots=True)
class Flow:
    """What hangs on a payment: how to lock it, how it follows, and how a captured payment is settled."""

    lock: Callable[[Session, Attempt], None]
    follow: Callable[[Session, PaymentIntent, Attempt, str], None]
    settle: Callable[[Attempt, str], None]


def open_attempt(
    db: Session,
    intent: PaymentIntent,
    method: PaymentMethod,
    *,
    nonce: str,
    cause: str,
    opinion: Opinion | None = None,
    off_session: bool = False,
) -> Attempt:
    """Write an attempt as submitted and move its intent to processing, in the caller's transaction.

    It is screened here, whoever opens it; `opinion` is what a remote fraud provider said before.

    Raises:
        Conflict: the intent has a live attempt.
        IllegalTransition: the intent cannot be confirmed now.
        Unprocessable, RateLimited: the method may not pay for it, or it is over a limit (risk/limits.py).
    """
    _admit(db, intent, method)
    screening = screen(db, intent, method, opinion, off_session=off_session)
    intent.advance(
        _I.CONFIRMED,
        cause=cause,
        attempts=intent.attempts + 1,
        payment_method_id=method.id,
        next_action=None,
        last_error=None,
    )
    attempt = Attempt(
        id=new_id("ch"),
        tenant_id=intent.tenant_id,
        mode=intent.mode,
        intent_id=intent.id,
        checkout_id=intent.checkout_id,
        number=intent.attempts,
        nonce=nonce,
        return_nonce=random_token(),
        connector=method.connector,
        payment_method_id=method.id,
        amount=intent.amount,
        currency=intent.currency,
        off_session=off_session,
        **asdict(screening),
        next_query_at=clock.now() + timedelta(seconds=GRACE_SECONDS),
    )
    db.add(attempt)
    attempt.begin(cause=cause)
    attempt.advance(_T.SUBMITTED, cause=cause)
    return attempt


def _admit(db: Session, intent: PaymentIntent, method: PaymentMethod) -> None:
    """Let one attempt of the intent live, with a method that may pay for it."""
    live = select(Attempt.id).where(Attempt.intent_id == intent.id, Attempt.status.not_in(lifecycle.DEAD))
    if db.scalar(live) is not None:
        raise Conflict("A payment is already under way", code="payment_in_progress")
    claims.claim(db, intent, method)


def load(attempt_id: str) -> tuple[Attempt, PaymentIntent, PaymentMethod]:
    """An attempt with its intent and method, as they are now."""
    statement = (
        select(Attempt, PaymentIntent, PaymentMethod)
        .join(PaymentIntent, PaymentIntent.id == Attempt.intent_id)
        .join(PaymentMethod, PaymentMethod.id == Attempt.payment_method_id)
        .where(Attempt.id == attempt_id)
    )
    with reading() as db:
        attempt, intent, method = db.execute(statement).one()
        return attempt, intent, method


def of_intent(actor: Actor, intent_id: str) -> list[Attempt]:
    """The attempts of an intent of this merchant, oldest first."""
    statement = (
        select(Attempt)
        .where(
            Attempt.intent_id == intent_id,
            Attempt.tenant_id == actor.tenant_id,
            Attempt.mode == actor.mode,
        )
        .order_by(Attempt.id)
    )
    with reading() as db:
        return list(db.scalars(statement))


def by_return_nonce(nonce: str) -> Attempt | None:
    """The attempt whose way back from 3DS or a bank carries this nonce."""
    with reading() as db:
        return db.scalars(select(Attempt).where(Attempt.return_nonce == nonce)).one_or_none()


def submit_operation(attempt: Attempt, trigger: lifecycle.Trigger, cause: str) -> bool:
    """Write that a capture or void is about to be asked for; False when somebody else was quicker."""
    with transaction() as db:
        fresh = lock_unchanged(db, attempt, lock=None)
        if fresh is None:
            return False
        fresh.advance(
            trigger,
            cause=cause,
            queries=0,
            next_query_at=clock.now() + timedelta(seconds=GRACE_SECONDS),
        )
    return True


def lock_unchanged(
    db: Session, seen: Attempt, lock: Callable[[Session, Attempt], None] | None
) -> Attempt | None:
    """The row under lock, in the house's lock order, if it still is as it was seen."""
    if lock is not None:
        lock(db, seen)
    db.execute(select(PaymentIntent).where(PaymentIntent.id == seen.intent_id).with_for_update())
    fresh = db.get_one(Attempt, seen.id, with_for_update=True)
    return fresh if (fresh.status, fresh.version) == (seen.status, seen.version) else None
