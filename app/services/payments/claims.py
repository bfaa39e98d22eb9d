"""Whether a method may pay for an intent, decided in the transaction that writes the attempt.

A method that is revoked pays nothing more, also not for an intent that names it already. A method without
consent is for one payment: once it has an attempt of one intent that may hold money, it serves no other.
"""

from __future__ import annotations

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from app.db import Lookup
from app.domain.actor import Actor, ActorKind
from app.domain.errors import Unprocessable
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import methods as lifecycle
from app.domain.rules import payment_methods
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.payments.methods import revoked

#: Accounts that are charged only when they are proven to be the customer's.
PROVEN_TYPES = frozenset({"bank_account"})

#: Made once: each confirm with a kept method asks it.
_ACTIVE = Lookup(
    select(PaymentMethod.id)
    .where(PaymentMethod.id == bindparam("id"), PaymentMethod.status == lifecycle.Status.ACTIVE)
    .with_for_update(read=True)
)


#: Callers that are a shopper's browser.
BROWSERS = frozenset(
    {ActorKind.CLIENT_TOKEN, ActorKind.CLIENT_SECRET, ActorKind.PUBLISHABLE_KEY, ActorKind.SHOPPER}
)


def claim(db: Session, intent: PaymentIntent, method: PaymentMethod, country: str | None = None) -> None:
    """Let the intent be paid with the method, in the caller's transaction; `country` is the shopper's.

    Raises:
        Unprocessable: revoked, used for another payment, an account that is not proven yet, or of a type that
            the merchant, or the payment, does not take (there).
    """
    refuse_type(db.info.get("actor"), intent, method.type, country)
    if method.type in PROVEN_TYPES and method.verified_at is None:
        raise Unprocessable("Verify this account first", code="payment_method_not_verified")
    if not _claimed_at_once(db, intent, method):
        _claim_slowly(db, intent, method)


def refuse_type(
    actor: Actor | None, intent: PaymentIntent, method_type: str, country: str | None = None
) -> None:
    """Refuse a type that the payment, or the merchant by a setting, does not take, or not in that country.

    Raises:
        Unprocessable: `payment_method_not_supported`.
    """
    chosen = actor.tenant.settings if actor is not None else {}
    allowed = [intent.method_types, chosen.get("allowed_methods")]
    here = payment_methods.in_country([method_type], country, chosen.get("allowed_apms") or {})
    if not here or any(method_type not in types for types in allowed if types):
        raise Unprocessable("This payment method is not available", code="payment_method_not_supported")


def refuse_unusable(actor: Actor, intent: PaymentIntent, method: PaymentMethod) -> None:
    """Whether this caller may pay this intent with this method.

    A saved method is its customer's: a browser picks it for that customer's payments alone. One that is kept
    for no customer it cannot pick at all; what its server chose it may use.

    Raises:
        Unprocessable: `payment_method_revoked`, `payment_method_customer_mismatch`.
    """
    if method.revoked_at is not None:
        raise Unprocessable("This payment method was revoked", code="payment_method_revoked")
    picked = actor.kind in BROWSERS and intent.payment_method_id != method.id
    if method.customer_id is None:
        foreign = picked and method.reusable
    else:
        foreign = method.customer_id != intent.customer_id and (picked or intent.customer_id is not None)
    if foreign:
        raise Unprocessable(
            "This payment method belongs to another customer",
            code="payment_method_customer_mismatch",
            field="payment_method_id",
        )


def _claimed_at_once(db: Session, intent: PaymentIntent, method: PaymentMethod) -> bool:
    """The ordinary case in one statement; a revocation waits for this transaction, or has come before it."""
    if method.reusable:
        return _ACTIVE.one({"id": method.id}) is not None
    mine = (PaymentMethod.id == method.id) & (PaymentMethod.status == lifecycle.Status.ACTIVE)
    free = or_(PaymentMethod.intent_id.is_(None), PaymentMethod.intent_id == intent.id)
    statement = (
        update(PaymentMethod)
        .where(mine, free)
        .values(intent_id=intent.id)
        .execution_options(synchronize_session=False)
    )
    return bool(db.execute(statement).rowcount)  # type: ignore[attr-defined]


def _claim_slowly(db: Session, intent: PaymentIntent, method: PaymentMethod) -> None:
    """It is revoked, or another payment has it: which may be over without having taken money."""
    statement = select(PaymentMethod).where(PaymentMethod.id == method.id).with_for_update()
    row = db.scalars(statement.execution_options(populate_existing=True)).one()
    if row.status != lifecycle.Status.ACTIVE:
        raise revoked()
    if row.reusable:
        return
    taken = select(Attempt.id).where(
        Attempt.intent_id == row.intent_id,
        Attempt.payment_method_id == row.id,
        Attempt.status.not_in(attempt_lifecycle.DEAD),
    )
    if row.intent_id != intent.id and db.scalar(taken.limit(1)) is not None:
        raise Unprocessable(
            "This payment method was for one payment; keep it with consent to use it again",
            code="payment_method_used",
        )
    row.intent_id = intent.id
