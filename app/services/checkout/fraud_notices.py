"""Decisions that a fraud provider sends about a checkout (CK-044, OP-34).

`{"id"?, "checkout_id" | "payment_intent_id", "action", "score"?, "reasons"?}`. `challenge` (or `review`) puts
the checkout under review, `allow` ends a review that the provider itself asked for, `deny` (or `cancel`)
cancels the checkout, by its payment's outcome where one is under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import TenantProfile, system_actor
from app.domain.errors import InvalidRequest
from app.domain.lifecycles.checkout_sessions import Status
from app.domain.rules.cards import without_card_number
from app.domain.rules.fraud import MAX_SCORE, Action
from app.kit import clock
from app.kit.ids import new_id
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.risk.fraud_decision import FraudDecision
from app.services.access import tenants
from app.services.checkout import reviewing, scoring
from app.services.events import provider_notices
from app.services.risk import policy, reviews

#: Words of providers, as we store them.
ACTIONS = {
    "allow": Action.ALLOW,
    "challenge": Action.CHALLENGE,
    "review": Action.CHALLENGE,
    "cancel": Action.DENY,
    "deny": Action.DENY,
}
MAX_REASONS = 20
#: Who decided, and why, as the journal says it.
PROVIDER = "fraud_provider"


def receive(raw: bytes, headers: Mapping[str, str]) -> bool:
    """Take a notice; False for one that we had already.

    Raises:
        Unauthenticated: the signature is not good, or it names no checkout.
        InvalidRequest: it is signed, and says nothing that we understand.
    """
    said = provider_notices.read(raw)
    found = _named(said)
    if found is None:
        raise provider_notices.refusal()
    provider_notices.verify(raw, headers, found.tenant_id, "fraud")
    event_id = provider_notices.event_id(raw, said)
    field = "action" if said.get("action") is not None else "decision"
    action = ACTIONS[provider_notices.one_of({"action": said.get(field)}, "action", tuple(ACTIONS))]
    profile = tenants.profile(found.tenant_id, found.mode)
    told = {
        "event_id": event_id,
        "action": str(action),
        "score": _score(said, action, policy.of(profile, found.mode)),
        "reasons": _reasons(said),
    }
    return provider_notices.once(
        lambda: _take(profile, found, told), tenant_id=found.tenant_id, provider="fraud", event_id=event_id
    )


def _named(said: Mapping[str, Any]) -> CheckoutSession | None:
    checkout_id = provider_notices.text(said, "checkout_id")
    intent_id = provider_notices.text(said, "payment_intent_id", "intent_id")
    with reading() as db:
        if checkout_id is None:  # also of a payment that the checkout has given up, or of a part of it
            intent = db.get(PaymentIntent, intent_id) if intent_id is not None else None
            checkout_id = intent.checkout_id if intent is not None else None
        return db.get(CheckoutSession, checkout_id) if checkout_id is not None else None


def _take(profile: TenantProfile, found: CheckoutSession, told: dict[str, Any]) -> bool:
    with transaction(system_actor(profile, found.mode, PROVIDER)) as db:
        session = db.get_one(CheckoutSession, found.id, with_for_update=True)
        fresh = provider_notices.is_new(
            db,
            tenant_id=session.tenant_id,
            mode=session.mode,
            provider="fraud",
            event_id=told["event_id"],
            type_=told["action"],
            payload={**told, "checkout_id": session.id},
        )
        if fresh:
            scoring.keep(db, session, _decision(session, told), cause=PROVIDER)
            _follow(db, session, profile, Action(told["action"]))
        return fresh


def _follow(db: Session, session: CheckoutSession, profile: TenantProfile, action: Action) -> None:
    pending = reviews.pending(db, session)
    if action == Action.ALLOW:
        if pending is not None and pending.source == reviews.PROVIDER:
            reviews.decide(session, pending, approved=True, by=PROVIDER, note=None, cause=PROVIDER)
    elif action == Action.CHALLENGE:
        if session.status not in reviewing.OVER:
            reviewing.hold(db, session, source=reviews.PROVIDER, cause=PROVIDER)
    else:
        if pending is None and session.status == Status.PAYMENT_PROCESSING:
            # Until the gateway has said what became of the payment, this keeps it from being finalised.
            pending = reviews.begin(db, session, source=reviews.PROVIDER, cause=PROVIDER)
        if pending is not None:
            reviews.decide(session, pending, approved=False, by=PROVIDER, note=None, cause=PROVIDER)
        reviewing.turn_away(db, session, profile, cause=PROVIDER)


def _decision(session: CheckoutSession, told: dict[str, Any]) -> FraudDecision:
    return FraudDecision(
        id=new_id("dec"),
        tenant_id=session.tenant_id,
        mode=session.mode,
        intent_id=session.payment_intent_id,
        checkout_id=session.id,
        source="webhook",
        provider="webhook",
        score=told["score"],
        action=told["action"],
        reasons=told["reasons"],
        inputs={"event_id": told["event_id"]},
        created_at=clock.now(),
    )


def _score(said: Mapping[str, Any], action: Action, chosen: policy.Policy) -> int:
    """The provider's score; of a notice without one the lowest that leads to its action here."""
    lowest = {Action.ALLOW: 0, Action.CHALLENGE: chosen.challenge_from, Action.DENY: chosen.deny_from}
    value = said.get("score")
    if value is None:
        return min(lowest[action], MAX_SCORE)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SCORE:
        raise InvalidRequest(
            f"score is a whole number, 0 to {MAX_SCORE}", field="score", code="invalid_field"
        )
    return value


def _reasons(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Reasons as texts or as `{"code", "text"?, "weight"?}`."""
    given = said.get("reasons") or []
    try:
        if not isinstance(given, list) or len(given) > MAX_REASONS:
            raise ValueError
        return [_reason(item) for item in given]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidRequest(
            f"reasons are at most {MAX_REASONS} codes, or objects with a code",
            field="reasons",
            code="invalid_field",
        ) from error


def _reason(item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        item = {"code": item}
    code, words, weight = item["code"], item.get("text", ""), item.get("weight", 0)
    if not isinstance(code, str) or not isinstance(words, str) or type(weight) is not int:
        raise ValueError
    if not code or not 0 <= weight <= MAX_SCORE:
        raise ValueError
    code, words = without_card_number(code, "card"), without_card_number(words)
    return {"code": code[:48], "weight": weight, "text": words[:200]}
