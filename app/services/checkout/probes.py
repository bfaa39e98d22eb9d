"""Health of the checkout, part by part, as it is at this moment (CK-073).

Lags and states are the installation's. A part is down where nothing of it works now, and degraded where it
works late or in part; the thresholds stand here and in docs/operating.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import select

from app.db import reading
from app.domain.actor import Actor
from app.domain.lifecycles import checkout_sessions
from app.domain.lifecycles import reservations as lifecycle
from app.kit import clock
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.providers.base import CartLine
from app.services.checkout import totals
from app.services.operations import probing
from app.services.operations.consulting import consult
from app.services.operations.health import State
from app.services.operations.probing import Details, Health, Look
from app.services.operations.settings import checkout_settings
from app.services.payments import offers, probes

#: The sweep gives a hold back within seconds of its end. Goods that nobody can buy for longer are a fault.
LATE_SECONDS, LOST_SECONDS = 60, 600
#: A calculation takes milliseconds; from here on shoppers notice.
SLOW_CALCULATION_MS = 500
#: What the page of a checkout that never was answers.
_NO_SUCH_PAGE = 404


def check(actor: Actor, open_page: Callable[[str], int]) -> Health:
    """Try every part at the same time; never raises.

    `open_page` opens a path of this process' pages and tells the HTTP status.
    """
    parts: dict[str, Look] = {
        "inventory_worker": _inventory_worker,
        "calculation_queue": lambda: _calculation(actor),
        "webhook_delivery": lambda: probes.webhook_delivery(actor),
        "hosted_pages": lambda: _hosted_pages(actor, open_page),
    }
    gateways = probes.gateway_looks(actor)
    found = probing.try_all(parts | gateways)
    payment = probes.together({name: found[name] for name in gateways})
    return Health({"payment_gateway": payment} | {name: found[name] for name in parts})


def _inventory_worker() -> tuple[State, Details]:
    """A worker has to be seen, and holds whose time is up have to be given back."""
    alive, seen = probes.worker()
    lag = _sweep_lag()
    late = State.DOWN if lag > LOST_SECONDS else State.DEGRADED if lag > LATE_SECONDS else State.OK
    return probing.worst((alive, late)), {**seen, "lag_seconds": lag}


def _sweep_lag() -> int:
    """Seconds since the oldest hold should have ended; one whose checkout is being paid is meant to stay."""
    now = clock.now()
    statement = (
        select(Reservation.expires_at)
        .join(CheckoutSession, CheckoutSession.id == Reservation.checkout_id)
        .where(
            Reservation.status == lifecycle.Status.ACTIVE,
            Reservation.expires_at <= now,
            CheckoutSession.status != checkout_sessions.Status.PAYMENT_PROCESSING,
        )
        .order_by(Reservation.expires_at)
        .limit(1)
    )
    with reading() as db:
        oldest = db.scalar(statement)
    return int((now - oldest).total_seconds()) if oldest else 0


def _calculation(actor: Actor) -> tuple[State, Details]:
    """Nothing queues, as each change computes its totals itself: a small cart is computed, and not kept."""
    started = time.monotonic()
    line = CartLine("probe", "probe", "Probe", 1, 1000)
    consult(
        lambda: totals.compute(
            actor.tenant,
            str(actor.mode),
            actor.tenant.default_currency,
            [line],
            codes=[],
            address=None,
            shipping=None,
        )
    )
    took = round((time.monotonic() - started) * 1000)
    return (State.DEGRADED if took > SLOW_CALCULATION_MS else State.OK), {"waiting": 0, "took_ms": took}


def _hosted_pages(actor: Actor, open_page: Callable[[str], int]) -> tuple[State, Details]:
    """A page has to be looked up and drawn, and there has to be a method to pay with on it."""
    status = open_page("/pay/hst_probe")
    if status != _NO_SUCH_PAGE:
        return State.DOWN, {"http_status": status}
    methods = offers.of(actor, checkout_settings(actor.tenant).allowed_methods).methods
    return (State.OK if methods else State.DEGRADED), {"methods": len(methods)}
