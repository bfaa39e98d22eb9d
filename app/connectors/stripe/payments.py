"""Payments: PaymentIntents from tokens, and the payments of Stripe's Checkout once they are there.

One attempt is one PaymentIntent, confirmed as it is created, under our key as idempotency key. Stripe
captures it by itself only where it was sold (`Sells`).

After a time-out nobody knows its id. Creating it again under the same key would answer, but would charge
where the first call never arrived; Stripe's search lags behind. What proves it: the list of PaymentIntents
is consistent, our key is in their metadata and names the time of the call. So `find` lists what was made
around that time. A hit is the truth; no hit is `NotFound` only once the call can no longer be on its way
(`marks.SETTLED_SECONDS`), and `Unknown` before. A process that slept between writing and calling does not
call any more (`marks.LATEST`), so that nothing is ever made outside that time.

A browser that has once had a PaymentIntent's client secret could pay it with another card after a decline.
So that a decline is final, `find` cancels the PaymentIntent before it tells of one, and likewise where the
shopper has not come back from 3-D Secure in time.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import stripe

from app.connectors import base
from app.connectors.base import ConnectorContext, GatewayStatus
from app.connectors.stripe import api, checkout, errors, frames, mapping, marks
from app.connectors.stripe.amounts import NotChargeable, to_stripe
from app.connectors.stripe.api import Api, Json
from app.kit import clock
from app.kit.ids import new_id

_INTENTS = "/v1/payment_intents"
_CHARGE = ["latest_charge"]

#: `pm_…`, or `cus_…/pm_…` for a method that Stripe keeps for a customer.
_SAVED = re.compile(r"(?:(cus_\w+)/)?((?:pm|card|src)_\w+)")


def authorize(
    context: ConnectorContext, request: base.AuthorizeRequest, *, sale: bool = False
) -> base.AuthorizeResult:
    """See `Authorizes`; a `sale` is captured by Stripe, also after 3-D Secure (`Sells`)."""
    if marks.is_late(request.key):
        return base.NotExecuted("too late to ask")
    try:
        at = api.of(context)
        if request.token == checkout.TOKEN:
            state = mapping.session(checkout.open_session(at, context, request))
        else:
            paid_by = _paid_by(at, request.token)
            if paid_by is None:
                return base.Declined("processing_error")
            wanted = _wanted(context, request, "automatic" if sale else "manual")
            intent = at.post(_INTENTS, request.key, **{**wanted, **paid_by})
            state = mapping.payment(intent, at.account.publishable_key)
    except errors.Failure as error:
        return errors.verdict(error, "processing_error", another_may=True)
    return _answer(state)


def find(context: ConnectorContext, key: str, reference: str | None) -> base.LookupResult:
    """See `Authorizes.find`, and above."""
    try:
        at = api.of(context)
        found = _read(at, reference) if reference else _search(at, context, key)
        if found is None:
            return base.NotFound() if marks.is_settled(key) else base.Unknown("may still be on its way")
        if not marks.mine(context, found):
            return base.Unknown("another merchant's")
        return _state(at, found)
    except errors.Failure as error:
        return errors.unknown(error)
    except marks.TooMany:
        return base.Unknown("too many payments to look through")


def capture(context: ConnectorContext, request: base.CaptureRequest) -> base.OperationResult:
    """See `Captures`."""
    refusal = base.Declined("capture_refused", request.reference)
    try:
        at = api.of(context)
        intent = read_mine(at, context, request.reference, request.currency)
        if intent is None:
            return refusal
        amount = to_stripe(request.amount, request.currency)
        if intent["capture_method"] == "manual":
            intent = _taken(at, intent["id"], request.key, amount)
        elif intent["status"] != "succeeded" or intent["amount_received"] != amount:
            return refusal
        state = mapping.payment(intent)
    except NotChargeable:
        return refusal
    except errors.Failure as error:
        return errors.verdict(error, refusal.code)
    if state.status == GatewayStatus.CAPTURED:
        return base.Approved(state.reference, state.captured, state.currency, state.facts)
    return base.Unknown(f"captured, but {intent['status']}")


def void(context: ConnectorContext, request: base.VoidRequest) -> base.OperationResult:
    """See `Voids`; what is declined, abandoned or captured holds no money that could be released."""
    try:
        at = api.of(context)
        found = _read(at, request.reference)
        if not marks.mine(context, found):
            return base.Declined("void_refused", request.reference)
        return _release(at, found)
    except errors.Failure as error:
        return errors.verdict(error, "void_refused")


def read_mine(at: Api, context: ConnectorContext, reference: str, currency: str) -> Json | None:
    """The PaymentIntent behind a reference, which may be its session's; None where it is not the caller's.

    Stripe is told neither merchant nor currency of what is done to it, so both are checked here.
    """
    found = _read(at, reference)
    intent = found.get("payment_intent") if found["object"] == "checkout.session" else found
    if not isinstance(intent, dict) or not marks.mine(context, intent):
        return None
    return intent if intent["currency"].upper() == currency else None


def _release(at: Api, found: Json) -> base.OperationResult:
    state = _mapped(found)
    if state.status == GatewayStatus.VOIDED:
        return base.Approved(state.reference, state.amount, state.currency)
    if state.status in (GatewayStatus.DECLINED, GatewayStatus.EXPIRED, GatewayStatus.CAPTURED):
        return base.Declined("void_refused", state.reference)
    if state.reference.startswith("cs_"):
        checkout.expire(at, state.reference)
        return base.Approved(state.reference, state.amount, state.currency)
    now = _mapped(_canceled(at, state.reference, mapping.RELEASED))
    if now.status == GatewayStatus.VOIDED:
        return base.Approved(now.reference, now.amount, now.currency)
    return base.Declined("void_refused", now.reference)


def _state(at: Api, found: Json) -> base.LookupResult:
    """Where it stands, after closing what nobody should be able to pay any more."""
    state = _mapped(found, at.account.publishable_key)
    if found["object"] == "checkout.session" or not _is_open(found):
        return state
    if not _is_given_up(found):
        waits = state.status in (GatewayStatus.ACTION_REQUIRED, GatewayStatus.PENDING)
        return state if waits else base.Unknown("not confirmed yet")
    closed = _canceled(at, found["id"], mapping.GIVEN_UP)
    return base.Unknown("still open") if _is_open(closed) else mapping.payment(closed)


def _is_open(intent: Json) -> bool:
    return intent["status"] in ("requires_payment_method", "requires_confirmation", "requires_action")


def _is_given_up(intent: Json) -> bool:
    age = clock.now() - mapping.created(intent)
    if intent["status"] == "requires_action":
        return age > timedelta(minutes=mapping.ACTION_MINUTES)
    return bool(intent.get("last_payment_error")) or age > timedelta(seconds=marks.SETTLED_SECONDS)


def _mapped(found: Json, publishable_key: str | None = None) -> base.GatewayPayment:
    reads = mapping.session if found["object"] == "checkout.session" else mapping.payment
    return reads(found, publishable_key)


def _read(at: Api, reference: str) -> Json:
    if reference.startswith("cs_"):
        return checkout.read(at, reference)
    return at.get(f"{_INTENTS}/{reference}", expand=_CHARGE)


def _search(at: Api, context: ConnectorContext, key: str) -> Json | None:
    found = marks.made_near(at, context, _INTENTS, key)
    if found is not None and not found["metadata"].get(marks.CHECKOUT):
        return _read(at, found["id"])
    return checkout.search(at, context, key)


def _taken(at: Api, intent_id: str, key: str, amount: int) -> Json:
    """The PaymentIntent after its capture; after a refusal the merchant may ask for another amount.

    Where Stripe only repeats that it broke, which it does for a day, it is asked under another key: whatever
    became of the first call, a payment is captured once.
    """
    path, wanted = f"{_INTENTS}/{intent_id}/capture", {"amount_to_capture": amount, "expand": _CHARGE}
    try:
        return at.post(path, f"{key}_{amount}", **wanted)
    except stripe.APIError as broke:
        if not api.is_replayed(broke):
            raise
        try:
            return at.post(path, new_id("capture"), **wanted)
        except stripe.InvalidRequestError:  # the first call has had its effect after all
            raise broke from None


def _canceled(at: Api, intent_id: str, reason: str) -> Json:
    """The PaymentIntent after it was canceled, or as it stands where it had moved on.

    Each call has a key of its own. Canceling twice does no more than canceling once, and under one key Stripe
    would repeat its first refusal for a day, although the payment can be released by now.
    """
    path = f"{_INTENTS}/{intent_id}/cancel"
    try:
        return at.post(path, new_id("close"), cancellation_reason=reason, expand=_CHARGE)
    except stripe.InvalidRequestError:
        return _read(at, intent_id)


def _wanted(context: ConnectorContext, request: base.AuthorizeRequest, capture_method: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "amount": to_stripe(request.amount, request.currency),
        "currency": request.currency.lower(),
        "payment_method_types": ["card"],
        "capture_method": capture_method,
        "confirm": True,
        "metadata": {**marks.merchants(request.metadata), **marks.write(context, request.key)},
        "expand": _CHARGE,
    }
    if request.description:
        wanted["description"] = request.description[:500]
    if request.force_three_ds:
        wanted["payment_method_options"] = {"card": {"request_three_d_secure": "any"}}
    if request.off_session:
        return {**wanted, "off_session": True, "error_on_requires_action": True}
    return {**wanted, "return_url": request.return_url}


def _paid_by(at: Api, token: str) -> dict[str, Any] | None:
    """The parameters that a token stands for; None for what Stripe's frames cannot have made."""
    made_here = frames.parts(token)
    if made_here is not None:
        return _paid_on_our_page(at, *made_here)
    saved = _SAVED.fullmatch(token)
    if saved is not None:
        customer, method = saved.groups()
        return {"payment_method": method} | ({"customer": customer} if customer else {})
    if re.fullmatch(r"ctoken_\w+", token):
        return {"confirmation_token": token}
    if re.fullmatch(r"tok_\w+", token):
        return {"payment_method_data": {"type": "card", "card": {"token": token}}}
    return None


def _paid_on_our_page(at: Api, customer: str | None, token: str) -> dict[str, Any]:
    """The parameters of a ConfirmationToken of our page, which has Stripe's script to do the rest.

    A customer was made for the one card, which the first payment leaves with them: later ones charge it.
    """
    paid_by = {"confirmation_token": token, "use_stripe_sdk": True}
    if customer is None:
        return paid_by
    kept = at.get(f"/v1/customers/{customer}/payment_methods", type="card", limit=1)["data"]
    if kept:
        return {"customer": customer, "payment_method": kept[0]["id"]}
    return {**paid_by, "customer": customer, "setup_future_usage": "off_session"}


def _answer(state: base.GatewayPayment) -> base.AuthorizeResult:
    match state.status:
        case GatewayStatus.AUTHORIZED | GatewayStatus.CAPTURED:
            taken = state.status == GatewayStatus.CAPTURED
            return base.Approved(
                state.reference, state.amount, state.currency, state.facts, state.expires_at, taken
            )
        case GatewayStatus.ACTION_REQUIRED:
            assert state.action is not None
            return base.ActionRequired(state.reference, state.action)
        case GatewayStatus.PENDING:
            return base.Pending(state.reference)
        case _:
            return base.Declined(state.decline_code or "processing_error", state.reference, state.facts)
