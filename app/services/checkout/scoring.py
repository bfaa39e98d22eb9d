"""The fraud score of a checkout: what is bought, by whom, for how much, and to where (CK-045, OP-34).

It is the score of services/risk, about a session that may not have a payment yet. It recommends and counts
nothing; a confirm is screened anew.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidState
from app.domain.lifecycles.checkout_sessions import Status
from app.domain.rules.fraud import Facts
from app.kit import clock
from app.kit.ids import new_id
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.risk.fraud_decision import FraudDecision
from app.services.checkout import sessions
from app.services.risk import counters, opinions, policy, screening, subjects
from app.services.risk.opinions import Opinion, Verdict
from app.services.risk.subjects import Buyer


def score(actor: Actor, checkout_id: str) -> FraudDecision:
    """Score a checkout as it stands and keep the decision with it.

    Raises:
        NotFound: there is none, or it is another merchant's.
        InvalidState: it is completed or canceled.
    """
    with reading() as db:
        session = sessions.find(db, actor, checkout_id)
        _refuse_over(session)
        method, context = _payment(db, session)
    opinion = opinions.ask(
        actor,
        method,
        amount=session.grand_total,
        currency=session.currency,
        buyer=Buyer.of_session(session),
        context=context,
        lines=_lines(session),
    )
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        _refuse_over(session)
        return _decided(db, actor, session, opinion)


def keep(db: Session, session: CheckoutSession, decision: FraudDecision, *, cause: str) -> None:
    """Store a decision about a checkout, show it on the session and journal it."""
    db.add(decision)
    session.fraud = {
        "decision_id": decision.id,
        "score": decision.score,
        "action": decision.action,
        "reasons": decision.reasons,
        "source": decision.source,
    }
    failed = decision.problem is not None
    record(
        db,
        "fraud.provider_failed" if failed else "fraud.decided",
        tenant_id=session.tenant_id,
        mode=session.mode,
        entity="fraud_decision",
        entity_id=decision.id,
        cause=cause,
        after={
            "id": decision.id,
            "score": decision.score,
            "action": decision.action,
            "reasons": [reason["code"] for reason in decision.reasons],
            "source": decision.source,
            "provider": decision.provider,
            "problem": decision.problem,
        },
        **session.journal_links(),
    )


def _decided(db: Session, actor: Actor, session: CheckoutSession, opinion: Opinion | None) -> FraudDecision:
    chosen = policy.of(actor.tenant, actor.mode)
    method, context = _payment(db, session)
    subject = subjects.gather(
        session.tenant_id,
        session.mode,
        amount=session.grand_total,
        currency=session.currency,
        method=method,
        buyer=Buyer.of_session(session),
        context=context,
        lines=_lines(session),
    )
    counted = opinions.keys(chosen, subject)
    facts = opinions.facts_of(db, subject, counted, counters.look(db, counted.values()))
    method_id = method.id if method else None
    verdict = opinions.judge(actor.tenant, chosen, method_id, facts, opinion)
    decision = _row(session, method_id, verdict, facts)
    keep(db, session, decision, cause="score")
    return decision


def _row(session: CheckoutSession, method_id: str | None, verdict: Verdict, facts: Facts) -> FraudDecision:
    return FraudDecision(
        id=new_id("dec"),
        tenant_id=session.tenant_id,
        mode=session.mode,
        intent_id=session.payment_intent_id,
        checkout_id=session.id,
        payment_method_id=method_id,
        source="score",
        provider=verdict.provider,
        problem=verdict.problem and verdict.problem[:80],
        score=verdict.score,
        action=str(verdict.action),
        reasons=[reason.as_dict() for reason in verdict.reasons],
        inputs=facts.as_dict(),
        created_at=clock.now(),
    )


def _payment(db: Session, session: CheckoutSession) -> tuple[PaymentMethod | None, dict[str, Any]]:
    """The method and the context of the session's payment, where it has one."""
    intent = db.get(PaymentIntent, session.payment_intent_id) if session.payment_intent_id else None
    if intent is None:
        return None, {}
    method = db.get(PaymentMethod, intent.payment_method_id) if intent.payment_method_id else None
    return method, screening.context_of(intent)


def _lines(session: CheckoutSession) -> list[dict[str, Any]]:
    """What is bought, without the free texts."""
    return [
        {name: line[name] for name in ("sku", "quantity", "unit_price")}
        for line in session.cart_snapshot["lines"]
    ]


def _refuse_over(session: CheckoutSession) -> None:
    if session.status in (Status.COMPLETED, Status.CANCELED):
        raise InvalidState(f"A checkout that is {session.status} is not scored any more")
