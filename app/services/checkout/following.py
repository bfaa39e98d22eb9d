"""A session follows its payment, in the transaction that records what became of it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import link_uses, reservations, sale, wallet
from app.services.risk.screening import FRAUD_BLOCK

_S, _T = lifecycle.Status, lifecycle.Trigger
_Intent = intent_lifecycle.Status


def lock(db: Session, attempt: Attempt) -> None:
    """The session comes first in the house's lock order."""
    assert attempt.checkout_id is not None
    db.execute(select(CheckoutSession.id).where(CheckoutSession.id == attempt.checkout_id).with_for_update())


def follow(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    """The session goes where its payment went."""
    go_along(db, intent, cause, blocked=attempt.block_code == FRAUD_BLOCK)


def go_along(db: Session, intent: PaymentIntent, cause: str, *, blocked: bool = False) -> None:
    """See `follow`; `blocked` says that the risk rules ended it."""
    session = db.get_one(CheckoutSession, intent.checkout_id)
    if session.status != _S.PAYMENT_PROCESSING:
        return
    if session.finalization_id is not None and sale.follow(db, session, intent, cause):
        return
    if intent.status == _Intent.REQUIRES_PAYMENT_METHOD:
        session.advance(_T.DECLINED, cause=cause)
    elif intent.status == _Intent.FAILED:
        session.advance(_T.FAILED, cause=cause, failure_reason="fraud" if blocked else "payment_declined")
        profile = db.get_one(Tenant, session.tenant_id).profile(session.mode)
        reservations.release(db, session, profile, cause=cause)
        link_uses.release(db, session)
        wallet.release(db, session, cause=cause)
    elif intent.status == _Intent.CANCELED:
        sale.cancel_session(db, session, cause)
