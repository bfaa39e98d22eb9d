"""Coming back: a shopper from a bank (CK-032), and a 3-D Secure result from the payment service (CK-033).

Neither is believed. The shopper's token, or the service's signature, says who may ask us to look again; what
is true the gateway says (reliability.md 7 to 9 and 22).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.db import reading, transaction
from app.domain.actor import system_actor
from app.domain.errors import Conflict, InvalidRequest, Unauthenticated
from app.domain.lifecycles.intents import Status
from app.kit import clock, signing, strict_json
from app.kit.ids import new_id
from app.models.checkout.session import CheckoutSession
from app.models.events.provider_event import ProviderEvent
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.access import tenants
from app.services.checkout import payment, split_runs
from app.services.checkout.payment import Landing
from app.services.events import inbound
from app.services.operations import inbound_secrets
from app.services.payments import attempts, driver, threeds
from app.services.payments.threeds import Completion, Result

_PROVIDER = "threeds"

#: What the page that a payer comes back to is told; it asks us again before it believes it.
_HINTS = {
    Status.SUCCEEDED: "succeeded",
    Status.AUTHORIZED: "succeeded",
    Status.REQUIRES_CAPTURE: "succeeded",
    Status.REQUIRES_ACTION: "pending",
    Status.PROCESSING: "pending",
}


def hint(intent: PaymentIntent) -> str:
    """How a payment seems to end: succeeded, pending or failed."""
    return _HINTS.get(Status(intent.status), "failed")


def with_words(url: str, **words: str) -> str:
    """A page's address with more words in its query."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *words.items()]
    return parts._replace(query=urlencode(query)).geturl()


def land(checkout_id: str, token: str) -> tuple[Landing, bool]:
    """Where a shopper's payment stands who comes back with the attempt's own token, and whether it was news.

    The token is good until somebody has learnt an outcome by it; afterwards nothing is looked at again.

    Raises:
        Unauthenticated: `payment_token_invalid`: it is not a token of this session.
    """
    attempt = attempts.by_return_nonce(token)
    if attempt is None or attempt.checkout_id != checkout_id:
        raise Unauthenticated("This is not a token of this checkout", code="payment_token_invalid")
    fresh = attempt.returned_at is None
    if fresh:
        payment.look_again(attempt.id, "return")
        try:
            attempts.use_up(attempt.id)
        except Conflict:  # another tab was quicker
            fresh = False
    attempt, intent = payment.whole_of(attempt.id)
    with reading() as db:
        return Landing(attempt, intent, db.get_one(CheckoutSession, checkout_id)), fresh


@dataclass(frozen=True, slots=True)
class ThreeDSEvent:
    """What the payment service tells of a challenge; `id` is the same over its repetitions."""

    id: str
    payment_intent_id: str
    completion: Completion


def receive_three_ds(raw: bytes, header: str) -> bool:
    """Take a signed 3-D Secure result and go on with its payment; False for one that we had already.

    One that came before and was not seen through, because we died, is seen through now.

    Raises:
        Unauthenticated: `invalid_signature`, also where the payment is nobody's.
        InvalidRequest: signed, and not a result.
        Unprocessable: `three_ds_transaction_mismatch`, it is another challenge's.
    """
    body = _parsed(raw)
    intent = _named(body)
    secret = inbound_secrets.find(intent.tenant_id, _PROVIDER) if intent is not None else None
    good = secret is not None and signing.verify_timestamped(header, raw, [secret], clock.now())
    if intent is None or not good:
        raise Unauthenticated("The signature is not valid", code="invalid_signature")
    event = _event(body)
    attempt = threeds.challenged(
        system_actor(tenants.profile(intent.tenant_id, intent.mode), intent.mode), intent.id
    )
    if attempt is not None:
        threeds.check_transaction(attempt, event.completion)
    row_id = _store(intent, event, body)
    if row_id is None:
        return False
    if attempt is not None:
        _go_on(intent, attempt, event.completion.result)
    inbound.mark_processed(row_id)
    return True


def _go_on(intent: PaymentIntent, attempt: Attempt, result: Result) -> None:
    flow = payment.flow_of(intent)
    if result == Result.AUTHENTICATED:
        driver.drive(attempt.id, flow, _PROVIDER)
    else:
        driver.give_up(attempt.id, flow, _PROVIDER, threeds.CODES[result])
    if flow is split_runs.PART:
        split_runs.go_on(intent.parent_intent_id or intent.id, _PROVIDER)


def _parsed(raw: bytes) -> dict[str, Any]:
    """The body before it is trusted: only which payment it names is looked at."""
    try:
        found = strict_json.loads(raw)
    except strict_json.StrictJsonError:
        return {}
    return found if isinstance(found, dict) else {}


def _named(body: Mapping[str, Any]) -> PaymentIntent | None:
    name = body.get("payment_intent_id")
    if not isinstance(name, str):
        return None
    with reading() as db:
        return db.get(PaymentIntent, name)


def _event(body: Mapping[str, Any]) -> ThreeDSEvent:
    """Raises InvalidRequest, naming the field."""
    texts = {name: body.get(name) for name in ("id", "result", "transaction_id", "cres")}
    for name, value in texts.items():
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= 20_000):
            raise InvalidRequest(f"{name} must be a text", field=name)
    if not texts["id"] or len(texts["id"]) > 128:
        raise InvalidRequest("id is required, up to 128 characters", code="missing_field", field="id")
    if texts["result"] not in {str(result) for result in Result}:
        raise InvalidRequest(f"result is one of {', '.join(Result)}", field="result")
    told = Completion(Result(texts["result"]), texts["transaction_id"], texts["cres"])
    return ThreeDSEvent(texts["id"], str(body["payment_intent_id"]), told)


def _store(intent: PaymentIntent, event: ThreeDSEvent, body: Mapping[str, Any]) -> str | None:
    """The id of the event's row; None where it was stored and seen through before."""
    row = ProviderEvent(
        id=new_id("pev"),
        tenant_id=intent.tenant_id,
        mode=intent.mode,
        provider=_PROVIDER,
        event_id=event.id,
        type=f"3ds.{event.completion.result}",
        payload={name: body.get(name) for name in ("id", "payment_intent_id", "result", "transaction_id")},
        received_at=clock.now(),
    )
    try:
        with transaction() as db:
            db.add(row)
            return row.id
    except IntegrityError:
        known = select(ProviderEvent.id).where(
            ProviderEvent.tenant_id == intent.tenant_id,
            ProviderEvent.provider == _PROVIDER,
            ProviderEvent.event_id == event.id,
            ProviderEvent.processed_at.is_(None),
        )
        with reading() as db:
            return db.scalar(known)
