"""Every lifecycle of the house, by name: for the diagrams and for the invariants."""

from __future__ import annotations

from typing import Any

from app.domain.lifecycles import (
    attempts,
    checkout_sessions,
    connectors,
    deliveries,
    disputes,
    finalizations,
    hosted_sessions,
    intents,
    jobs,
    kyc,
    methods,
    orders,
    payouts,
    refunds,
    reservations,
    reviews,
    settlements,
    subscription_periods,
    subscriptions,
    verifications,
    wallet_holds,
)
from app.domain.lifecycles.base import Lifecycle

ALL: dict[str, Lifecycle[Any, Any]] = {
    module.LIFECYCLE.name: module.LIFECYCLE
    for module in (
        intents,
        attempts,
        refunds,
        disputes,
        checkout_sessions,
        hosted_sessions,
        reservations,
        payouts,
        settlements,
        deliveries,
        jobs,
        orders,
        finalizations,
        connectors,
        methods,
        verifications,
        wallet_holds,
        reviews,
        kyc,
        subscriptions,
        subscription_periods,
    )
}
