"""What a gateway's answer means for an attempt: many result types in, one small fact out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.connectors import base
from app.connectors.base import AcquirerFacts, NextAction


class Kind(StrEnum):
    """What is now known."""

    ACTION_REQUIRED = "action_required"
    PENDING = "pending"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    DECLINED = "declined"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fact about an attempt; `amount` and `currency` only where the gateway named them."""

    kind: Kind
    reference: str | None = None
    amount: int | None = None
    currency: str | None = None
    captured: int = 0
    decline_code: str | None = None
    action: NextAction | None = None
    facts: AcquirerFacts = AcquirerFacts()
    expires_at: datetime | None = None


def of_authorize(result: base.AuthorizeResult) -> Outcome:
    """What an authorise call said."""
    match result:
        case base.Approved():
            return Outcome(
                Kind.CAPTURED if result.taken else Kind.AUTHORIZED,
                result.reference,
                result.amount,
                result.currency,
                captured=result.amount if result.taken else 0,
                facts=result.facts,
                expires_at=result.expires_at,
            )
        case base.Declined():
            return Outcome(Kind.DECLINED, result.reference, decline_code=result.code, facts=result.facts)
        case base.ActionRequired():
            return Outcome(Kind.ACTION_REQUIRED, result.reference, action=result.action)
        case base.Pending():
            return Outcome(Kind.PENDING, result.reference, action=result.action)
        case base.NotExecuted():
            return Outcome(Kind.DECLINED, decline_code="gateway_unavailable")
        case base.Unknown():
            return Outcome(Kind.UNKNOWN)


_OF_STATUS = {
    base.GatewayStatus.ACTION_REQUIRED: Kind.ACTION_REQUIRED,
    base.GatewayStatus.PENDING: Kind.PENDING,
    base.GatewayStatus.AUTHORIZED: Kind.AUTHORIZED,
    base.GatewayStatus.CAPTURED: Kind.CAPTURED,
    base.GatewayStatus.VOIDED: Kind.VOIDED,
    base.GatewayStatus.DECLINED: Kind.DECLINED,
    base.GatewayStatus.EXPIRED: Kind.DECLINED,
}


def of_lookup(result: base.LookupResult) -> Outcome:
    """What the gateway has on its books."""
    match result:
        case base.GatewayPayment():
            return Outcome(
                _OF_STATUS[result.status],
                result.reference,
                result.amount,
                result.currency,
                result.captured,
                result.decline_code,
                result.action,
                result.facts,
                result.expires_at,
            )
        case base.NotFound():
            return Outcome(Kind.NOT_FOUND)
        case base.Unknown():
            return Outcome(Kind.UNKNOWN)


def of_capture(result: base.OperationResult) -> Outcome:
    """What a capture call said."""
    match result:
        case base.Approved():
            return Outcome(Kind.CAPTURED, result.reference, currency=result.currency, captured=result.amount)
        case base.Declined():
            return Outcome(Kind.DECLINED, result.reference, decline_code=result.code)
        case base.Pending() | base.NotExecuted() | base.Unknown():
            return Outcome(Kind.UNKNOWN)


def of_void(result: base.OperationResult) -> Outcome:
    """What a void call said; a refused one has to be looked at again."""
    return Outcome(Kind.VOIDED if isinstance(result, base.Approved) else Kind.UNKNOWN)
