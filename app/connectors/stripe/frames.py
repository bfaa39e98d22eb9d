"""Stripe's Payment Element on our page: what the page needs, and what its tokens look like here.

The page asks the element for a ConfirmationToken and sends it to us (docs/adr/0033). It is kept with a
prefix: our page has Stripe's script, so that 3-D Secure may happen in it. Nothing here wants their library.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from app import settings
from app.connectors.base import ConnectorContext
from app.connectors.hosting import CardFrames, FramePolicy
from app.connectors.stripe import account
from app.connectors.stripe.amounts import NotChargeable, to_stripe

#: What Stripe's script and its frames are served from (docs.stripe.com/security/guide).
_SCRIPT_HOST, _HOSTS = "https://js.stripe.com", "https://js.stripe.com https://*.js.stripe.com"
_HOOKS = "https://hooks.stripe.com"

#: `page/ctoken_…`; where the card is kept `page/cus_…/ctoken_…`, by a customer made for this one card.
_MADE_HERE = re.compile(r"page/(?:(cus_\w+)/)?(ctoken_\w+)", re.ASCII)


def card_frames(context: ConnectorContext) -> CardFrames | None:
    """See `FramesCards`: Stripe's script, and the publishable key, which has to be of the caller's mode."""
    try:
        ours = account.of(context)
    except account.NotConfigured:
        return None
    key = ours.publishable_key or ""
    if ours.integration != account.ELEMENTS or not key.startswith(f"pk_{context.mode}_"):
        return None
    return CardFrames("stripe", "Stripe", settings.current().stripe_js_url, key, _policy())


def frame_amount(amount: int, currency: str) -> int | None:
    """See `FramesCards`."""
    try:
        return to_stripe(amount, currency)
    except NotChargeable:
        return None


def token_of(token: str, customer: str | None) -> str:
    """How a ConfirmationToken of our page is kept."""
    return f"page/{customer}/{token}" if customer else f"page/{token}"


def parts(token: str) -> tuple[str | None, str] | None:
    """The customer, where the card is kept, and the ConfirmationToken; None: not made on our page."""
    made = _MADE_HERE.fullmatch(token)
    return (made[1], made[2]) if made is not None else None


def _policy() -> FramePolicy:
    """Stripe's own hosts; where another address is set for the script, that one alone."""
    configured = settings.current()
    script, api = _origin(configured.stripe_js_url), _origin(configured.stripe_api_base)
    if script != _SCRIPT_HOST:
        return FramePolicy(script, script, script)
    return FramePolicy(_HOSTS, f"{_HOSTS} {_HOOKS}", api)


def _origin(url: str) -> str:
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc}"
