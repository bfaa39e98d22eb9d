"""OR-001, OR-002: what a cart would cost, and paying an order (contract/orders.md)."""

from __future__ import annotations

from app.api.orders.surface import TOKENS, surface
from app.api.orders.views import Amount, OrderView, number, rounded
from app.domain.actor import Actor
from app.services.checkout import order_payments, order_quotes
from app.web.schemas import Body, Integer, View
from app.web.surface import Idempotency


class Calculate(Body):
    """A cart, by its sum in major units; a code that is not good is ignored."""

    subtotal: Amount
    discount_code: str | None = None


class CalculationView(View):
    """What it would cost, in major units."""

    subtotal: float
    discount_code: str | None
    discount_amount: float
    discounted_subtotal: float
    tax: float
    total: float


class Pay(Body):
    """Which order."""

    order_id: Integer


class PaidView(View):
    """A paid order."""

    message: str
    order: OrderView


@surface.post(
    "/payments/calculate",
    "OR-001",
    body=Calculate,
    returns=CalculationView,
    auth=TOKENS,
    permission="orders:read",
    idempotency=Idempotency.LOCAL,
)
def calculate(actor: Actor, body: Calculate) -> CalculationView:
    """Preview discount, tax and total of a cart."""
    currency = actor.tenant.default_currency
    subtotal = rounded(body.subtotal, currency, "subtotal")
    quote = order_quotes.preview(actor, subtotal, body.discount_code)
    totals = quote.totals
    return CalculationView(
        subtotal=number(totals["sub_total"], currency),
        discount_code=quote.code,
        discount_amount=number(totals["discount_total"], currency),
        discounted_subtotal=number(totals["sub_total"] - totals["discount_total"], currency),
        tax=number(totals["tax_total"], currency),
        total=number(totals["grand_total"], currency),
    )


@surface.post(
    "/payments/checkout",
    "OR-002",
    body=Pay,
    returns=PaidView,
    auth=TOKENS,
    permission="orders:write",
    idempotency=Idempotency.LEASED,
)
def checkout(actor: Actor, body: Pay, idempotency_key: str | None) -> PaidView:
    """Pay an order."""
    order = order_payments.pay(actor, body.order_id, idempotency_key)
    return PaidView.model_construct(message="Payment processed successfully", order=OrderView.of(order))
