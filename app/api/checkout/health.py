"""CK-073, CK-074: how the checkout does, and where its sessions stand."""

from __future__ import annotations

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.services.checkout import diagnostics, probes
from app.services.checkout.diagnostics import Diagnosis
from app.services.operations.health import State
from app.web import pages_probe
from app.web.health_views import HealthView
from app.web.schemas import View


class CheckoutHealthView(HealthView):
    """How each part does, by name, and in `components` what was seen of it; `status` is the worst of them."""

    payment_gateway: State
    inventory_worker: State
    calculation_queue: State
    webhook_delivery: State
    hosted_pages: State


class LatencyView(View):
    """How many of the last hour, and how long they took; null where there were none."""

    count: int
    average_ms: float | None
    longest_ms: float | None


class QueueView(View):
    """How much of this merchant's is due and waits, and since how many seconds the oldest does."""

    name: str
    depth: int
    oldest_seconds: int


class DiagnosticsView(View):
    """Where checkouts stand right now.

    `in_flight_sessions` have not ended. A reservation is timed until the goods are held, a payment intent
    until its gateway has authorised it, without those that waited for a shopper.
    """

    in_flight_sessions: int
    in_flight: dict[str, int]
    reservations: LatencyView
    payment_intents: LatencyView
    queues: list[QueueView]

    @classmethod
    def of(cls, found: Diagnosis) -> DiagnosticsView:
        """The view of a diagnosis."""
        names = set(cls.model_fields) - {"in_flight_sessions"}
        whole = {name: getattr(found, name) for name in names}
        return cls.model_validate({**whole, "in_flight_sessions": sum(found.in_flight.values())})


@surface.get("/health", "CK-073", returns=CheckoutHealthView, permission="health:read")
def health(actor: Actor) -> CheckoutHealthView:
    """Try gateways, inventory worker, calculation, webhook delivery and hosted pages."""
    found = HealthView.of(probes.check(actor, pages_probe.opener()))
    states = {name: part.status for name, part in found.components.items()}
    return CheckoutHealthView.model_validate({**dict(found), **states})


@surface.get("/diagnostics", "CK-074", returns=DiagnosticsView, permission="health:read")
def diagnose(actor: Actor) -> DiagnosticsView:
    """See sessions in flight, how long reservations and payments take, and what waits."""
    return DiagnosticsView.of(diagnostics.diagnose(actor))
