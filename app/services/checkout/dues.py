"""What is left to pay of a session: its total less the stored value that is applied to it (OP-45)."""

from __future__ import annotations

from app.models.checkout.session import CheckoutSession


def applied(session: CheckoutSession) -> int:
    """Minor units of gift cards and credit that count: never more than the total, should that have fallen."""
    return min(session.wallet_applied, session.grand_total)


def due(session: CheckoutSession) -> int:
    """Minor units that a payment method has to cover; 0 where nothing is left to pay."""
    return session.grand_total - applied(session)
