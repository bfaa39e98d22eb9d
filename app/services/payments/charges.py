"""Charges, authorisations and transactions: what the attempts and refunds of a payment come to.

Contract: PY-016, PY-018, PY-021, PY-022 and payments.md 2.5. An attempt is the charge and, once it was
approved, its authorisation; the transactions are what moved or released money, or tried to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, select

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.domain.lifecycles import attempts as lifecycle
from app.domain.lifecycles import refunds as refund_lifecycle
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund
from app.services.operations import paging
from app.services.payments import intents, parts

_S, _R = lifecycle.Status, refund_lifecycle.Status

#: Before the gateway has said yes or no.
_OPEN = frozenset({_S.CREATED, _S.SUBMITTED, _S.ACTION_REQUIRED, _S.UNKNOWN})
_CAPTURING = frozenset({_S.CAPTURE_SUBMITTED, _S.CAPTURE_UNKNOWN})
_VOIDING = frozenset({_S.VOID_SUBMITTED, _S.VOID_UNKNOWN})

SUCCEEDED, PENDING, FAILED = "succeeded", "pending", "failed"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One event in money; `type` is auth, capture, refund or reversal, `amount` in minor units."""

    id: str
    type: str
    status: str
    amount: int
    charge: Attempt
    at: datetime
    refund: Refund | None = None

    @property
    def gateway_reference(self) -> str | None:
        """The gateway's own id of it."""
        return self.refund.gateway_reference if self.refund else self.charge.gateway_reference

    @property
    def settlement_date(self) -> date | None:
        """When the acquirer settled it, once that is known."""
        if self.type == "refund" and self.refund:
            return self.refund.settlement_date
        return self.charge.settlement_date if self.type == "capture" else None


def get(actor: Actor, charge_id: str) -> Attempt:
    """One charge of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        found = db.scalars(_mine(actor).where(Attempt.id == charge_id)).one_or_none()
    if found is None:
        raise NotFound("Charge not found", code="charge_not_found")
    return found


def of_authorization(actor: Actor, authorization_id: str) -> Attempt:
    """The charge that was approved under this authorisation.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    statement = _mine(actor).where(
        Attempt.id == authorization_id.replace("auth_", "ch_", 1), Attempt.authorized_at.is_not(None)
    )
    with reading() as db:
        found = db.scalars(statement).one_or_none()
    if found is None or found.authorization_id != authorization_id:
        raise NotFound("Authorization not found", code="authorization_not_found")
    return found


def latest(actor: Actor, intent_id: str) -> Attempt:
    """The newest charge of an intent.

    Raises:
        NotFound: there is none.
    """
    page = of_intent(actor, intent_id, limit=1)
    if not page.data:
        raise NotFound("Charge not found", code="charge_not_found")
    return page.data[0]


def of_intent(
    actor: Actor,
    intent_id: str,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[Attempt]:
    """The charges of an intent, newest first."""
    statement = _mine(actor).where(parts.charged_for(intents.get(actor, intent_id)))
    return paging.newest_first(statement, Attempt.id, limit=limit, cursor=cursor, page=page)


def transactions(
    actor: Actor,
    intent_id: str,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[Transaction]:
    """Everything that moved or released money of an intent, or tried to, newest first.

    They are few: a payment has a handful of attempts, and no more refunds than minor units.
    """
    intent = intents.get(actor, intent_id)
    refunds = select(Refund).where(
        parts.refunded_for(intent), Refund.tenant_id == actor.tenant_id, Refund.mode == actor.mode
    )
    with reading() as db:
        charges = {row.id: row for row in db.scalars(_mine(actor).where(parts.charged_for(intent)))}
        found = [item for charge in charges.values() for item in _of_charge(charge)]
        for refund in db.scalars(refunds):
            found += _of_refund(refund, charges[refund.attempt_id])
    found.sort(key=lambda item: (item.at, item.id), reverse=True)
    return paging.of_rows(found, "id", limit=limit, cursor=cursor, page=page)


def _of_charge(charge: Attempt) -> Iterator[Transaction]:
    status = PENDING if charge.status in _OPEN else SUCCEEDED if charge.authorized_at else FAILED
    at = charge.authorized_at or charge.created_at
    yield Transaction(charge.authorization_id, "auth", status, charge.amount, charge, at)
    capture, reversal = _named(charge.id, "cap"), _named(charge.id, "rev")
    if charge.status == _S.CAPTURED:
        at = charge.captured_at or charge.updated_at
        yield Transaction(capture, "capture", SUCCEEDED, charge.amount_captured, charge, at)
        rest = charge.amount - charge.amount_captured
        if rest:
            yield Transaction(reversal, "reversal", SUCCEEDED, rest, charge, at)
    elif charge.amount_to_capture is not None or charge.status in _CAPTURING:
        status = PENDING if charge.status in _CAPTURING else FAILED
        amount = charge.amount_to_capture or charge.amount
        yield Transaction(capture, "capture", status, amount, charge, charge.updated_at)
    if charge.status in (*_VOIDING, _S.VOIDED, _S.AUTH_EXPIRED):
        status = PENDING if charge.status in _VOIDING else SUCCEEDED
        yield Transaction(reversal, "reversal", status, charge.amount, charge, charge.updated_at)


def _of_refund(refund: Refund, charge: Attempt) -> Iterator[Transaction]:
    returned = refund.status == _R.FAILED and refund.succeeded_at is not None
    done = refund.status == _R.SUCCEEDED or returned
    status = SUCCEEDED if done else FAILED if refund.status == _R.FAILED else PENDING
    at = refund.succeeded_at or refund.created_at
    yield Transaction(refund.id, "refund", status, refund.amount, charge, at, refund)
    if returned:
        reversal = _named(refund.id, "rev")
        yield Transaction(reversal, "reversal", SUCCEEDED, refund.amount, charge, refund.updated_at, refund)


def _named(entity_id: str, prefix: str) -> str:
    return f"{prefix}_{entity_id.partition('_')[2]}"


def _mine(actor: Actor) -> Select[Attempt]:
    return select(Attempt).where(Attempt.tenant_id == actor.tenant_id, Attempt.mode == actor.mode)
