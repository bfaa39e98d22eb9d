"""A stand-in for Stripe, for what localstripe lacks: stateful, strict about what it is sent, on loopback."""

from tests.stripe_standin.server import StandIn

__all__ = ["StandIn"]
