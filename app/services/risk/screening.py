"""Screening: every confirm is limited, scored and decided in the transaction that opens its attempt.

Two statements on the hot path: one upsert that counts and reads the counters, one insert of the decision.
What was decided goes with the rows that are written anyway: the intent's `risk` and the attempt's own
columns, so that the driver knows after a crash, too, what this attempt may do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.db import Command, reading
from app.domain.actor import Actor
from app.domain.rules.fraud import Action, Facts
from app.kit import clock
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.risk.fraud_decision import FraudDecision
from app.services.risk import counters, limits, opinions, policy, subjects
from app.services.risk.counters import Key
from app.services.risk.opinions import Opinion, Verdict
from app.services.risk.policy import Policy
from app.services.risk.subjects import Buyer

#: The decline of a denied payment; the shopper reads the generic text.
FRAUD_BLOCK = "fraud_block"
#: The decline of a challenge that nobody is there to take.
NOBODY_THERE = "authentication_required"

#: Declines that say nothing about the buyer.
_NOT_THE_BUYERS = frozenset({"gateway_unavailable", "canceled", "processing_error"})

_INSERT = Command(lambda _: insert(FraudDecision.__table__))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Screening:
    """What an attempt has to keep to; with a `block_code` no gateway may hear of it."""

    decision_id: str
    force_three_ds: bool
    block_code: str | None
    counted_in: list[str]


def ask(
    actor: Actor,
    intent: PaymentIntent,
    method: PaymentMethod | None,
    *,
    context: dict[str, Any] | None = None,
    off_session: bool = False,
) -> Opinion | None:
    """Ask a remote provider about an intent that is about to be confirmed or scored; see `opinions.ask`."""
    return opinions.ask(
        actor,
        method,
        amount=intent.amount,
        currency=intent.currency,
        buyer=buyer_of(intent),
        context={**context_of(intent), **(context or {})},
        off_session=off_session,
    )


def screen(
    db: Session,
    intent: PaymentIntent,
    method: PaymentMethod,
    opinion: Opinion | None,
    *,
    off_session: bool = False,
) -> Screening:
    """Limit, score and decide a confirm in the caller's transaction, which holds the intent's lock.

    Raises:
        Unprocessable: `tx_limit_exceeded`, `confirm_limit_exceeded`.
        RateLimited: `velocity_limit_exceeded`.
    """
    actor: Actor | None = db.info.get("actor")
    profile = actor.tenant if actor is not None else db.get_one(Tenant, intent.tenant_id).profile(intent.mode)
    chosen = policy.of(profile, intent.mode)
    limits.check_amount(chosen, intent.amount, intent.currency)
    limits.check_confirms(chosen, intent)
    subject = subjects.gather(
        intent.tenant_id,
        intent.mode,
        amount=intent.amount,
        currency=intent.currency,
        method=method,
        buyer=buyer_of(intent),
        context=context_of(intent),
        actor=actor,
        off_session=off_session,
    )
    counted, limited = opinions.keys(chosen, subject), limits.keys(chosen, subject)
    readings = counters.add(db, (*counted.values(), *limited.values()), tries=1, amount=intent.amount)
    limits.check_velocity(limited, readings, subject, actor)
    facts = opinions.facts_of(db, subject, counted, readings)
    verdict = opinions.judge(profile, chosen, method.id, facts, opinion)
    override = (intent.risk or {}).get("override")
    if override:
        verdict = replace(verdict, action=Action(override["action"]), override_of=override["decision_id"])
    return Screening(
        write(db, intent, method.id, verdict, facts, {"context": context_of(intent)}, source="confirm"),
        force_three_ds=_forces_three_ds(chosen, verdict.action, method.type, off_session),
        block_code=_block_code(chosen, verdict.action, off_session),
        counted_in=[key.bucket for key in counted.values()],
    )


def note_decline(db: Session, attempt: Attempt) -> None:
    """Count a decline; the last thing that a transaction locks rows for (see counters)."""
    if attempt.counted_in and attempt.decline_code not in _NOT_THE_BUYERS:
        keys = [Key(bucket, opinions.WINDOW_SECONDS) for bucket in attempt.counted_in]
        counters.add(db, keys, declines=1)


def buyer_of(intent: PaymentIntent) -> Buyer:
    """Who pays: the checkout knows, where there is one (a transaction that confirms has it already)."""
    if intent.checkout_id is None:
        return Buyer(customer_id=intent.customer_id)
    with reading() as db:
        session = db.get(CheckoutSession, intent.checkout_id)
    return Buyer(customer_id=intent.customer_id) if session is None else Buyer.of_session(session)


def context_of(intent: PaymentIntent) -> dict[str, Any]:
    """What a score on demand left with the intent."""
    kept: dict[str, Any] = (intent.risk or {}).get("context") or {}
    return kept


def write(
    db: Session,
    intent: PaymentIntent,
    method_id: str | None,
    verdict: Verdict,
    facts: Facts,
    kept: dict[str, Any],
    *,
    source: str,
) -> str:
    """Store a decision, set the intent's `risk` with what is `kept` in it, journal both. Returns its id."""
    reasons = [reason.as_dict() for reason in verdict.reasons]
    row = {
        "id": new_id("dec"),
        "tenant_id": intent.tenant_id,
        "mode": intent.mode,
        "intent_id": intent.id,
        "payment_method_id": method_id,
        "source": source,
        "provider": verdict.provider,
        "problem": verdict.problem and verdict.problem[:80],
        "score": verdict.score,
        "action": str(verdict.action),
        "reasons": reasons,
        "inputs": facts.as_dict(),
        "override_of": verdict.override_of,
        "created_at": clock.now(),
    }
    _INSERT.later(db, row)
    intent.risk = {
        "decision_id": row["id"],
        "score": verdict.score,
        "action": str(verdict.action),
        "reasons": reasons,
        **kept,
    }
    _journal(db, intent, row)
    return str(row["id"])


def _forces_three_ds(chosen: Policy, action: Action, method_type: str, off_session: bool) -> bool:
    """Only cards have it, and only a shopper who is there can go through it."""
    if method_type != "card" or off_session or chosen.three_ds == "never":
        return False
    return chosen.three_ds == "always" or action == Action.CHALLENGE


def _block_code(chosen: Policy, action: Action, off_session: bool) -> str | None:
    if action == Action.DENY:
        return FRAUD_BLOCK
    challenged = action == Action.CHALLENGE and chosen.three_ds != "never"
    return NOBODY_THERE if challenged and off_session else None


def _journal(db: Session, intent: PaymentIntent, row: dict[str, Any]) -> None:
    told = {name: row[name] for name in ("score", "action", "source", "provider", "problem", "override_of")}
    failed = row["problem"] is not None
    record(
        db,
        "fraud.provider_failed" if failed else "fraud.decided",
        tenant_id=intent.tenant_id,
        mode=intent.mode,
        entity="fraud_decision",
        entity_id=row["id"],
        cause=row["source"],
        checkout_id=intent.checkout_id,
        payment_intent_id=intent.id,
        after={
            "id": row["id"],
            "payment_intent_id": intent.id,
            **told,
            "reasons": [reason["code"] for reason in row["reasons"]],
        },
    )
