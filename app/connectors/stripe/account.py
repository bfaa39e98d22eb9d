"""What a Stripe account is configured with: a merchant's own, or else the deployment's (app/settings.py)."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from app import settings
from app.connectors.base import ConnectorContext
from app.connectors.configuring import CredentialField

ELEMENTS, REDIRECT = "elements", "redirect"

FIELDS = (
    CredentialField(
        "secret_key",
        "Secret key",
        secret=True,
        required=True,
        hint="sk_… or a restricted rk_…; a test key serves test mode, a live key live mode",
        pattern=r"(sk|rk)_(test|live)_[0-9A-Za-z_]{8,250}",
    ),
    CredentialField(
        "publishable_key",
        "Publishable key",
        hint="pk_…; browsers need it for Stripe's own frames",
        pattern=r"pk_(test|live)_[0-9A-Za-z_]{8,250}",
    ),
    CredentialField(
        "webhook_secret",
        "Signing secret of the webhook endpoint",
        secret=True,
        hint="whsec_…; several, comma-separated, while one is rolled",
        pattern=r"whsec_[^\s,]{8,250}(,\s*whsec_[^\s,]{8,250})*",
        signs_webhooks=True,
    ),
    CredentialField(
        "integration",
        "How cards are taken",
        hint="redirect: on Stripe's page; elements: in Stripe's fields on ours (with the publishable key)",
        choices=(REDIRECT, ELEMENTS),
    ),
)


class NotConfigured(Exception):
    """There is no key for this mode, so that nothing was sent."""


@dataclass(frozen=True, slots=True)
class Account:
    """The keys of the account that a call is made with."""

    secret_key: str
    publishable_key: str | None
    integration: str

    def __repr__(self) -> str:
        return "Account(…)"


def of(context: ConnectorContext) -> Account:
    """The merchant's account, or the deployment's, whose key is for the mode of the call.

    Raises:
        NotConfigured: neither is.
    """
    own, ours = context.credentials, settings.current()
    if own.get("secret_key"):
        account = Account(
            own["secret_key"], own.get("publishable_key"), own.get("integration") or ours.stripe_mode
        )
    else:
        account = Account(_text(ours.stripe_secret_key), ours.stripe_publishable_key, ours.stripe_mode)
    if account.secret_key[2:].split("_")[:2] != ["", context.mode]:
        raise NotConfigured(f"No Stripe key for {context.mode} mode")
    return account


def deployed(mode: str | None = None) -> bool:
    """Whether this deployment has a Stripe account for merchants without one of their own, in that mode."""
    key = _text(settings.current().stripe_secret_key)
    return bool(key) and (mode is None or key[2:].startswith(f"_{mode}_"))


def webhook_secrets(given: list[str]) -> list[str]:
    """Each secret by itself: those of the merchant, and the deployment's."""
    joined = [*given, _text(settings.current().stripe_webhook_secret)]
    return [secret.strip() for text in joined for secret in text.split(",") if secret.strip()]


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
