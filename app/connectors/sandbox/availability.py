"""How a sandbox account is configured, and the outages that a merchant can switch on to try fail-over."""

from __future__ import annotations

from app.connectors.base import ConnectorContext, NotExecuted, Unknown
from app.connectors.configuring import CredentialField, Ping

UP, DOWN, UNAUTHORIZED = "up", "down", "unauthorized"

FIELDS = (
    CredentialField("api_key", "API key", secret=True, hint="Any text: the sandbox wants no account"),
    CredentialField("merchant_account", "Merchant account"),
    CredentialField(
        "webhook_secret",
        "Webhook secret",
        secret=True,
        hint="Signs gateway events that you send by yourself",
        signs_webhooks=True,
    ),
    CredentialField(
        "availability",
        "Availability",
        hint="up, or how the gateway fails: down refuses each connection, unauthorized each credential",
        choices=(UP, DOWN, UNAUTHORIZED),
    ),
)

_REFUSALS = {DOWN: "connection refused", UNAUTHORIZED: "credentials refused"}


def refusal(context: ConnectorContext) -> NotExecuted | None:
    """Why this account executes nothing now, or None when it works; its money is for test mode alone."""
    if context.mode != "test":
        return NotExecuted("not in live mode")
    reason = _REFUSALS.get(context.credentials.get("availability", UP))
    return NotExecuted(reason) if reason is not None else None


def unknown(context: ConnectorContext) -> Unknown | None:
    """The same for a question, which then has no answer."""
    found = refusal(context)
    return Unknown(found.reason) if found is not None else None


def ping(context: ConnectorContext) -> Ping:
    """Whether this account would execute a payment."""
    found = refusal(context)
    if found is None:
        return Ping(True, "The sandbox answers")
    return Ping(
        False, f"The sandbox answers: {found.reason}", refused=found.reason == _REFUSALS[UNAUTHORIZED]
    )
