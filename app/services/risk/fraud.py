"""Fraud decisions: scoring on demand, the rules, overrides, reading (PY-063 to PY-066).

What a confirm decides is services/risk/screening.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidState, NotFound
from app.domain.lifecycles import intents as lifecycle
from app.domain.rules.fraud import RULES, Action, Rule
from app.kit import clock
from app.models.events.journal import record
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.risk.fraud_decision import FraudDecision
from app.services.risk import counters, opinions, policy, screening, subjects
from app.services.risk.policy import Policy


@dataclass(frozen=True, slots=True)
class Context:
    """What a merchant knows of the shopper. It is kept with the intent as hashes and countries."""

    ip: str | None = None
    device_fingerprint: str | None = None
    billing_address: Mapping[str, Any] | None = None
    shipping_address: Mapping[str, Any] | None = None
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A merchant's policy, with all rules that there are; a rule that is off has no weight now."""

    policy: Policy
    rules: tuple[tuple[Rule, bool], ...]


def score(actor: Actor, intent_id: str, context: Context) -> FraudDecision:
    """Score an intent as it stands. It counts nothing; its next confirm knows the context (PY-063).

    Raises:
        NotFound: no such intent.
    """
    given = subjects.context_of(
        actor.tenant_id,
        ip=context.ip,
        device=context.device_fingerprint,
        billing=context.billing_address,
        shipping=context.shipping_address,
        customer_id=context.customer_id,
    )
    with reading() as db:
        intent = _intent(db, actor, intent_id)
        method = _method(db, intent)
    opinion = screening.ask(actor, intent, method, context=given)
    with transaction(actor) as db:
        return _score(db, actor, _intent(db, actor, intent_id, lock=True), given, opinion)


def rules(actor: Actor) -> Rulebook:
    """The rules with this merchant's weights, thresholds and marks (PY-064)."""
    chosen = policy.of(actor.tenant, actor.mode)
    mine = {rule.code: rule for rule in chosen.rules}
    return Rulebook(chosen, tuple((mine.get(rule.code, rule), rule.code in mine) for rule in RULES))


def get(actor: Actor, decision_id: str) -> FraudDecision:
    """One decision of this merchant and mode (PY-066).

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return _find(db, actor, decision_id)


def of_intent(actor: Actor, intent_id: str) -> list[FraudDecision]:
    """The decisions about a payment, the latest first.

    Raises:
        NotFound: no such payment.
    """
    row = FraudDecision
    with reading() as db:
        _intent(db, actor, intent_id)
        return list(
            db.scalars(select(row).where(row.intent_id == intent_id).order_by(row.id.desc()).limit(50))
        )


def override(
    actor: Actor,
    action: Action,
    reason: str,
    *,
    decision_id: str | None = None,
    intent_id: str | None = None,
) -> FraudDecision:
    """Decide otherwise: the next confirm of that intent follows this and no score (PY-065).

    Of an intent its latest decision is meant. A later override replaces an earlier one.

    Raises:
        NotFound: no such decision or intent, or the intent was never scored.
        InvalidState: the payment is over, or there is none yet: no confirm will come.
    """
    with transaction(actor) as db:
        if decision_id is not None:
            intent_id = _find(db, actor, decision_id).intent_id
        if intent_id is None:
            raise InvalidState("This decision is about a checkout that has no payment yet")
        intent = _intent(db, actor, intent_id, lock=True)
        decision = _find(db, actor, decision_id or _latest(intent))
        if lifecycle.LIFECYCLE.is_terminal(intent.status):
            raise InvalidState(f"A payment that is {intent.status} is not confirmed again")
        before = _told(decision)
        decision.override_action = str(action)
        decision.override_reason = reason
        decision.overridden_by = actor.id
        decision.overridden_at = clock.now()
        intent.risk = {
            **(intent.risk or {}),
            "override": {"decision_id": decision.id, "action": str(action)},
        }
        record(
            db,
            "fraud.overridden",
            tenant_id=actor.tenant_id,
            mode=str(actor.mode),
            entity="fraud_decision",
            entity_id=decision.id,
            cause="api",
            checkout_id=intent.checkout_id,
            payment_intent_id=intent.id,
            before=before,
            after={**_told(decision), "reason": reason},
        )
        return decision


def _score(
    db: Session,
    actor: Actor,
    intent: PaymentIntent,
    given: dict[str, Any],
    opinion: opinions.Opinion | None,
) -> FraudDecision:
    chosen = policy.of(actor.tenant, actor.mode)
    method = _method(db, intent)
    context = {**screening.context_of(intent), **given}
    subject = subjects.gather(
        intent.tenant_id,
        intent.mode,
        amount=intent.amount,
        currency=intent.currency,
        method=method,
        buyer=screening.buyer_of(intent),
        context=context,
    )
    counted = opinions.keys(chosen, subject)
    facts = opinions.facts_of(db, subject, counted, counters.look(db, counted.values()))
    method_id = method.id if method else None
    verdict = opinions.judge(actor.tenant, chosen, method_id, facts, opinion)
    kept = {name: value for name, value in (intent.risk or {}).items() if name == "override"}
    made = screening.write(
        db, intent, method_id, verdict, facts, {**kept, "context": context}, source="score"
    )
    return db.get_one(FraudDecision, made)


def _intent(db: Session, actor: Actor, intent_id: str, *, lock: bool = False) -> PaymentIntent:
    statement = select(PaymentIntent).where(
        PaymentIntent.id == intent_id,
        PaymentIntent.tenant_id == actor.tenant_id,
        PaymentIntent.mode == actor.mode,
    )
    found = db.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Payment not found", code="payment_intent_not_found")
    return found


def _method(db: Session, intent: PaymentIntent) -> PaymentMethod | None:
    return db.get(PaymentMethod, intent.payment_method_id) if intent.payment_method_id else None


def _find(db: Session, actor: Actor, decision_id: str) -> FraudDecision:
    statement = select(FraudDecision).where(
        FraudDecision.id == decision_id,
        FraudDecision.tenant_id == actor.tenant_id,
        FraudDecision.mode == actor.mode,
    )
    found = db.scalars(statement.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise NotFound("Fraud decision not found", code="fraud_decision_not_found")
    return found


def _latest(intent: PaymentIntent) -> str:
    return (intent.risk or {}).get("decision_id") or ""


def _told(decision: FraudDecision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "payment_intent_id": decision.intent_id,
        "score": decision.score,
        "action": decision.action,
        "override_action": decision.override_action,
    }
