"""PY-063 to PY-066: fraud scores, rules, overrides."""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

from pydantic import Field, field_validator

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.rules.fraud import Action
from app.models.risk.fraud_decision import FraudDecision
from app.services.risk import fraud
from app.services.risk.fraud import Context
from app.web.fraud_views import PaymentAction, ReasonView, RulesView
from app.web.schemas import Body, Instant, View
from app.web.surface import Idempotency


class FraudAddress(Body):
    """An address; the rules look at its country."""

    name: str | None = Field(None, max_length=200)
    company: str | None = Field(None, max_length=200)
    line1: str | None = Field(None, max_length=200)
    line2: str | None = Field(None, max_length=200)
    city: str | None = Field(None, max_length=120)
    state: str | None = Field(None, max_length=120)
    postal_code: str | None = Field(None, max_length=20)
    country: str | None = Field(None, pattern="^[A-Za-z]{2}$")
    phone: str | None = Field(None, max_length=40)


class ScoreAsk(Body):
    """The payment, and what is known of its shopper."""

    intent_id: str = Field(min_length=1, max_length=64)
    ip: str | None = Field(None, max_length=45)
    device_fingerprint: str | None = Field(None, min_length=1, max_length=256)
    billing_address: FraudAddress | None = None
    shipping_address: FraudAddress | None = None
    customer_id: str | None = Field(None, min_length=1, max_length=64)

    @field_validator("ip")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None:
            ipaddress.ip_address(value)
        return value

    def context(self) -> Context:
        """What the service takes."""
        fields = self.model_dump(exclude={"intent_id"})
        return Context(**fields)


class OverrideAsk(Body):
    """Which decision, or the latest of which payment, is to be what, and why."""

    decision_id: str | None = Field(None, min_length=1, max_length=64)
    intent_id: str | None = Field(None, min_length=1, max_length=64)
    action: Literal["allow", "deny"]
    reason: str = Field(min_length=1, max_length=500)

    @field_validator("reason")
    @classmethod
    def _a_reason(cls, value: str) -> str:
        text = value.strip()
        if not text:
            raise ValueError("say why")
        return text


class OverrideView(View):
    """Who decided otherwise, and why."""

    action: PaymentAction
    reason: str
    by: str
    at: Instant


class DecisionView(View):
    """A decision: `score` 0 to 100, what it led to, and the inputs it rests on."""

    id: str
    decision_id: str
    intent_id: str | None
    checkout_id: str | None
    payment_method_id: str | None
    source: Literal["confirm", "score", "webhook"]
    provider: str
    problem: str | None
    score: int
    action: PaymentAction
    reasons: list[ReasonView]
    inputs: dict[str, Any]
    override_of: str | None
    override: OverrideView | None
    created_at: Instant

    @classmethod
    def of(cls, row: FraudDecision) -> DecisionView:
        """The view of a row."""
        override = None
        if row.override_action is not None:
            override = {
                "action": row.override_action,
                "reason": row.override_reason,
                "by": row.overridden_by,
                "at": row.overridden_at,
            }
        return cls.model_validate(
            {
                "id": row.id,
                "decision_id": row.id,
                "intent_id": row.intent_id,
                "checkout_id": row.checkout_id,
                "payment_method_id": row.payment_method_id,
                "source": row.source,
                "provider": row.provider,
                "problem": row.problem,
                "score": row.score,
                "action": row.action,
                "reasons": row.reasons,
                "inputs": row.inputs,
                "override_of": row.override_of,
                "override": override,
                "created_at": row.created_at,
            }
        )


class ScoreView(View):
    """The score of a payment."""

    decision_id: str
    score: int
    action: PaymentAction
    reasons: list[ReasonView]


@surface.post(
    "/fraud/score",
    "PY-063",
    body=ScoreAsk,
    returns=ScoreView,
    permission="fraud:write",
    idempotency=Idempotency.LEASED,
)
def score(actor: Actor, body: ScoreAsk) -> ScoreView:
    """Score a transaction context."""
    made = DecisionView.of(fraud.score(actor, body.intent_id, body.context()))
    return ScoreView(decision_id=made.id, score=made.score, action=made.action, reasons=made.reasons)


@surface.get("/fraud/rules", "PY-064", returns=RulesView, permission="fraud:read")
def rules(actor: Actor) -> RulesView:
    """List the risk rules with their weights and thresholds."""
    return RulesView.of(fraud.rules(actor))


@surface.post("/fraud/override", "PY-065", body=OverrideAsk, returns=DecisionView, permission="*")
def override(actor: Actor, body: OverrideAsk) -> DecisionView:
    """Force a payment's next confirm to be allowed or denied (admin; audited)."""
    if (body.decision_id is None) == (body.intent_id is None):
        raise InvalidRequest("Send decision_id or intent_id, one of them", field="decision_id")
    made = fraud.override(
        actor,
        Action(body.action),
        body.reason,
        decision_id=body.decision_id,
        intent_id=body.intent_id,
    )
    return DecisionView.of(made)


@surface.get("/fraud/decisions/{decision_id}", "PY-066", returns=DecisionView, permission="fraud:read")
def decision(actor: Actor, decision_id: str) -> DecisionView:
    """Read one fraud decision."""
    return DecisionView.of(fraud.get(actor, decision_id))
