"""PY-067 to PY-069: test cards, simulated events, test tokens; absent in production (OP-40)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.connectors.base import MethodToken
from app.connectors.sandbox.cards import TestCard
from app.domain.actor import Actor
from app.services.checkout import simulations
from app.services.checkout.simulations import MAX_DELAY_MS, MAX_TOKENS, Scheduled
from app.web.schemas import Body, Instant, Integer, Listing, View
from app.web.surface import Idempotency


class TestCardView(View):
    """A published test number: any date in the future and any security code go with it."""

    id: str
    number: str
    brand: str
    behaviour: str
    description: str
    decline_code: str | None

    @classmethod
    def of(cls, row: TestCard) -> TestCardView:
        """The view of a card."""
        return cls.model_validate(row)


@surface.get(
    "/test/cards", "PY-067", returns=Listing[TestCardView], permission="sandbox:read", sandbox_only=True
)
def cards() -> Listing[TestCardView]:
    """List the test cards and what they do."""
    rows = [TestCardView.of(row) for row in simulations.cards()]
    return Listing[TestCardView](data=rows, has_more=False, next_cursor=None)


class Simulate(Body):
    """What should happen to which payment, and after how many milliseconds."""

    type: str = Field(min_length=1, max_length=64)
    intent_id: str = Field(min_length=1, max_length=64)
    delay_ms: Integer = Field(0, ge=0, le=MAX_DELAY_MS)


class SimulationView(View):
    """A simulation on its way; the job can be looked at."""

    job_id: str
    type: str
    intent_id: str
    due_at: Instant

    @classmethod
    def of(cls, row: Scheduled) -> SimulationView:
        """The view of a simulation."""
        return cls.model_validate(row)


@surface.post(
    "/test/simulate",
    "PY-068",
    body=Simulate,
    returns=SimulationView,
    permission="sandbox:write",
    sandbox_only=True,
)
def simulate(actor: Actor, body: Simulate) -> SimulationView:
    """Let an event happen to a test payment, by its real flow and the gateway's signed webhook."""
    return SimulationView.of(simulations.schedule(actor, body.type, body.intent_id, body.delay_ms))


class Faucet(Body):
    """Tokens of which method; `card` is an id of the list of test cards."""

    type: Literal[
        "card",
        "paypal",
        "ideal",
        "bancontact",
        "klarna",
        "buy_now_pay_later",
        "bank_transfer",
        "promptpay",
        "apple_pay",
        "google_pay",
    ] = "card"
    card: str | None = Field(None, min_length=1, max_length=64)
    count: Integer = Field(1, ge=1, le=MAX_TOKENS)


class TestTokenView(View):
    """A test token and what may be shown of what it stands for."""

    token: str
    type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None

    @classmethod
    def of(cls, row: MethodToken) -> TestTokenView:
        """The view of a token."""
        return cls.model_validate(row)


class TestTokensView(View):
    """Test tokens."""

    tokens: list[TestTokenView]


@surface.post(
    "/test/faucet",
    "PY-069",
    body=Faucet,
    returns=TestTokensView,
    status=201,
    permission="sandbox:write",
    idempotency=Idempotency.LEASED,
    sandbox_only=True,
)
def faucet(actor: Actor, body: Faucet) -> TestTokensView:
    """Issue sandbox test tokens."""
    issued = simulations.issue(actor, body.card, body.type, body.count)
    return TestTokensView(tokens=[TestTokenView.of(row) for row in issued])
