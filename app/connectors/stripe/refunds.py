"""Refunds of PaymentIntents; each carries its own key and its payment's in the metadata."""

from __future__ import annotations

from app.connectors import base
from app.connectors.base import ConnectorContext
from app.connectors.refunding import ForeignRefund
from app.connectors.stripe import api, errors, mapping, marks, payments
from app.connectors.stripe.amounts import NotChargeable, from_stripe, to_stripe
from app.connectors.stripe.api import Json

_REFUNDS = "/v1/refunds"

#: Our reasons → Stripe's; "fraudulent" also puts card and e-mail on Radar's block list.
_REASONS = {
    "customer_request": "requested_by_customer",
    "product_return": "requested_by_customer",
    "fraud": "fraudulent",
}

#: Refusals that say more than that it was refused.
_REFUSALS = frozenset({"charge_already_refunded", "charge_disputed"})


def refund(context: ConnectorContext, request: base.RefundRequest) -> base.OperationResult:
    """See `Refunds`."""
    refusal = base.Declined("refund_refused")
    try:
        at = api.of(context)
        intent = payments.read_mine(at, context, request.reference, request.currency)
        if intent is None or intent["status"] != "succeeded":
            return refusal
        reason = _REASONS.get(request.reason or "")
        payment_key = intent["metadata"][marks.KEY]
        found = at.post(
            _REFUNDS,
            request.key,
            payment_intent=intent["id"],
            amount=to_stripe(request.amount, request.currency),
            metadata=marks.write(context, request.key, **{marks.PAYMENT_KEY: payment_key}),
            **({"reason": reason} if reason else {}),
        )
        return mapping.refund(found)
    except NotChargeable:
        return refusal
    except errors.Failure as error:
        return errors.verdict(error, errors.code_of(error, _REFUSALS) or refusal.code)


def find_refund(context: ConnectorContext, key: str, payment: str | None) -> base.RefundLookupResult:
    """See `Refunds.find_refund`.

    A refund that is not found may be asked for again under its key: where the first call is still on its
    way, Stripe answers both with the same refund.
    """
    try:
        at = api.of(context)
        if payment is None:
            found = marks.made_near(at, context, _REFUNDS, key)
        else:
            found = marks.pick(context, key, at, _REFUNDS, payment_intent=payment)
        return base.NotFound() if found is None else mapping.refund(found)
    except errors.Failure as error:
        return errors.unknown(error)
    except marks.TooMany:
        return base.Unknown("too many refunds to look through")


def foreign_refunds(
    context: ConnectorContext, payment: str, currency: str
) -> tuple[ForeignRefund, ...] | base.Unknown:
    """See `TellsOfRefunds`: those without our key, such as are made in Stripe's dashboard."""
    try:
        at = api.of(context)
        intent = payments.read_mine(at, context, payment, currency)
        if intent is None:
            return base.Unknown("another merchant's")
        found: list[Json] = []
        pages = at.pages(_REFUNDS, payment_intent=intent["id"], expand=["data.balance_transaction"])
        for number, page in enumerate(pages):
            if number == marks.MAX_PAGES:
                return base.Unknown("too many refunds to look through")
            found += [refund for refund in page if _is_foreign(refund)]
        return tuple(_foreign(refund) for refund in reversed(found))
    except errors.Failure as error:
        return errors.unknown(error)


def _is_foreign(refund: Json) -> bool:
    """Not ours, nor the part of a charge that a capture in part released, which Stripe books as a refund."""
    booked = refund.get("balance_transaction") or {}
    released = booked.get("reporting_category") == "partial_capture_reversal"
    return marks.KEY not in (refund.get("metadata") or {}) and not released


def _foreign(refund: Json) -> ForeignRefund:
    currency = refund["currency"].upper()
    amount = from_stripe(refund["amount"], currency)
    return ForeignRefund(refund["id"], amount, currency, mapping.refund(refund))
