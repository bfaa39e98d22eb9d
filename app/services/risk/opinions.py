"""Opinions: what the merchant's fraud provider makes of a payment, and what happens where it makes nothing.

A built-in provider is asked inside the transaction that opens the attempt. A remote one is asked before,
with nothing open (`ask`), and its answer is carried in. Where no usable answer came, the merchant's
`on_failure` decides: nobody is let through or turned away by accident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from app import db as database
from app.db import reading
from app.domain.actor import Actor, TenantProfile
from app.domain.rules.fraud import Action, Assessment, Facts, Reason, action_for
from app.domain.rules.velocity import Scope
from app.kit import clock
from app.models.payments.method import PaymentMethod
from app.providers import registry
from app.providers.base import Fraud, FraudProviderFailed
from app.services.operations import inbound_secrets
from app.services.risk import counters, policy, subjects, usual
from app.services.risk.counters import Key, Reading
from app.services.risk.policy import Policy
from app.services.risk.subjects import Buyer, Subject

log = structlog.get_logger("till.risk")

#: The rules count by the hour.
WINDOW_SECONDS = 3600
#: Whose tries the rules look at; a card prefix is shared by thousands and is for limits alone.
_COUNTED = (Scope.CARD, Scope.CUSTOMER, Scope.EMAIL, Scope.ADDRESS, Scope.DEVICE)

NO_ANSWER = "provider_unavailable"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a remote provider said of one payment method and amount, or what went wrong."""

    amount: int
    currency: str
    method_id: str | None
    assessment: Assessment | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it comes to: a score, an action and why; `problem` where the provider failed.

    With `override_of` the action is not the score's but a person's, given on that decision.
    """

    provider: str
    score: int
    action: Action
    reasons: tuple[Reason, ...]
    problem: str | None = None
    override_of: str | None = None


def ask(
    actor: Actor,
    method: PaymentMethod | None,
    *,
    amount: int,
    currency: str,
    buyer: Buyer,
    context: Mapping[str, object] | None = None,
    off_session: bool = False,
    lines: Sequence[Mapping[str, object]] = (),
) -> Opinion | None:
    """Ask the merchant's provider about a payment that is about to be confirmed, if it is a remote one."""
    provider = registry.fraud(actor.tenant, lambda: inbound_secrets.find(actor.tenant_id, "fraud"))
    if not provider.remote:
        return None
    assert not database.in_transaction(), "a remote provider is never asked inside a transaction"
    chosen = policy.of(actor.tenant, actor.mode)
    subject = subjects.gather(
        actor.tenant_id,
        str(actor.mode),
        amount=amount,
        currency=currency,
        method=method,
        buyer=buyer,
        context=context or {},
        actor=actor,
        off_session=off_session,
        lines=lines,
    )
    with reading() as db:
        counted = keys(chosen, subject)
        facts = facts_of(db, subject, counted, counters.look(db, counted.values()))
    found = _asked(provider, chosen, facts, actor.tenant_id)
    return Opinion(
        amount,
        currency,
        method.id if method else None,
        found if isinstance(found, Assessment) else None,
        found if isinstance(found, str) else None,
    )


def keys(chosen: Policy, subject: Subject) -> dict[Scope, Key]:
    """The counters that the rules look at; in test mode everybody has the same few cards."""
    return {
        scope: counters.key(subject.owner, scope, subject.values[scope], WINDOW_SECONDS)
        for scope in _COUNTED
        if scope in subject.values and (scope != Scope.CARD or chosen.counts_cards)
    }


def facts_of(
    db: Session, subject: Subject, counted: Mapping[Scope, Key], readings: Mapping[str, Reading]
) -> Facts:
    """What the rules are given."""
    now = clock.now().timestamp()
    seen = {scope: readings[key.bucket] for scope, key in counted.items() if key.bucket in readings}
    return Facts(
        amount=subject.amount,
        currency=subject.currency,
        usual_amount=usual.amount(db, *subject.owner, subject.currency),
        tries={str(scope): found.sliding(found.tries, now) for scope, found in seen.items()},
        declines={str(scope): found.sliding(found.declines, now) for scope, found in seen.items()},
        **subject.facts,
    )


def judge(
    profile: TenantProfile, chosen: Policy, method_id: str | None, facts: Facts, opinion: Opinion | None
) -> Verdict:
    """The verdict. A remote provider that nobody asked about exactly this payment has failed, too."""
    provider = registry.fraud(profile, lambda: None)
    if provider.remote:
        found = _carried(opinion, method_id, facts)
    else:
        found = _asked(provider, chosen, facts, profile.id)
    if isinstance(found, str):
        reason = Reason(NO_ANSWER, 0, f"The fraud provider gave no answer; on_failure is {chosen.on_failure}")
        return Verdict(provider.name, 0, chosen.on_failure, (reason,), found)
    action = found.action or action_for(found.score, chosen.challenge_from, chosen.deny_from)
    return Verdict(provider.name, found.score, action, found.reasons)


def _carried(opinion: Opinion | None, method_id: str | None, facts: Facts) -> Assessment | str:
    asked = opinion and (opinion.method_id, opinion.amount, opinion.currency)
    if opinion is None or asked != (method_id, facts.amount, facts.currency):
        return "not asked"
    return opinion.assessment or opinion.problem or "no answer"


def _asked(provider: Fraud, chosen: Policy, facts: Facts, tenant_id: str) -> Assessment | str:
    """The assessment, or what went wrong."""
    try:
        return provider.assess(facts, chosen.rules)
    except FraudProviderFailed as failure:
        return str(failure)
    except Exception as failure:  # a mistake in it is no reason to lose a sale, or to wave it through
        log.exception("fraud_provider_broke", tenant_id=tenant_id)
        return type(failure).__name__
