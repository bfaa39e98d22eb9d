"""CK-045, CK-046, CK-049: fraud score and rules, manual review."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.models.risk.review import Review
from app.services.checkout import reviewing, scoring
from app.services.risk import fraud
from app.web.fraud_views import CheckoutAction, CheckoutRulesView, ReasonView, checkout_word
from app.web.schemas import Body, Instant, Nothing, View
from app.web.surface import Idempotency


class ScoreView(View):
    """The score of a checkout, 0 to 100, and what is recommended."""

    checkout_id: str
    decision_id: str
    score: int
    action: CheckoutAction
    reasons: list[ReasonView]


class Assignment(Body):
    """Who looks at the checkout, and what they should know."""

    assignee_id: str = Field(min_length=1, max_length=40)
    note: str | None = Field(None, min_length=1, max_length=2000)


class ReviewResult(Body):
    """What the reviewer decided, and why."""

    result: Literal["approved", "rejected"]
    note: str | None = Field(None, min_length=1, max_length=2000)


class ReviewView(View):
    """A manual review; while it is `pending` nothing is paid or finalised."""

    review_id: str
    checkout_id: str
    status: Literal["pending", "approved", "rejected"]
    source: str
    assignee_id: str | None
    assigned_by: str | None
    note: str | None
    decided_by: str | None
    decided_at: Instant | None
    decision_note: str | None
    created_at: Instant
    updated_at: Instant
    version: int

    @classmethod
    def of(cls, row: Review) -> ReviewView:
        """The view of a row."""
        names = set(cls.model_fields) - {"review_id", "note"}
        kept = {name: getattr(row, name) for name in names}
        return cls(review_id=row.id, note=row.assignment_note, **kept)


@surface.post(
    "/sessions/{checkout_id}/fraud/score",
    "CK-045",
    body=Nothing,
    returns=ScoreView,
    permission="fraud:write",
    idempotency=Idempotency.LEASED,
)
def score(actor: Actor, checkout_id: str, body: Nothing) -> ScoreView:
    """Score the session; returns risk score and recommended action."""
    made = scoring.score(actor, checkout_id)
    return ScoreView(
        checkout_id=checkout_id,
        decision_id=made.id,
        score=made.score,
        action=checkout_word(made.action),
        reasons=[ReasonView(**reason) for reason in made.reasons],
    )


@surface.get("/fraud/rules", "CK-046", returns=CheckoutRulesView, permission="fraud:read")
def rules(actor: Actor) -> CheckoutRulesView:
    """List configured fraud rules that cancel or escalate a checkout."""
    return CheckoutRulesView.of(fraud.rules(actor))


@surface.post(
    "/sessions/{checkout_id}/manual-review/assign",
    "CK-049",
    body=Assignment,
    returns=ReviewView,
    permission="fraud:write",
)
def assign(actor: Actor, checkout_id: str, body: Assignment) -> ReviewView:
    """Assign the session to an agent for manual review."""
    return ReviewView.of(reviewing.assign(actor, checkout_id, body.assignee_id, body.note))


@surface.post(
    "/sessions/{checkout_id}/manual-review/complete",
    "CK-049-complete",
    body=ReviewResult,
    returns=ReviewView,
    permission="fraud:write",
)
def complete(actor: Actor, checkout_id: str, body: ReviewResult) -> ReviewView:
    """End the manual review: approved, the checkout goes on; rejected, it is canceled."""
    approved = body.result == "approved"
    return ReviewView.of(reviewing.decide(actor, checkout_id, approved=approved, note=body.note))
