"""Whether an account's key works: its balance is read, which moves nothing."""

from __future__ import annotations

import stripe

from app.connectors.base import ConnectorContext
from app.connectors.configuring import Ping
from app.connectors.stripe import api, errors


def ping(context: ConnectorContext) -> Ping:
    """See `Tests.ping`."""
    try:
        api.of(context).get("/v1/balance")
    except (stripe.AuthenticationError, stripe.PermissionError):
        return Ping(False, "Stripe does not accept the secret key", refused=True)
    except errors.NotConfigured:
        return Ping(False, f"The secret key is not for {context.mode} mode", refused=True)
    except errors.Failure as error:
        return Ping(False, f"Stripe did not answer: {errors.unknown(error).reason}")
    return Ping(True, f"Stripe answers in {context.mode} mode")
