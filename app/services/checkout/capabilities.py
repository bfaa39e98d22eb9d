"""What a merchant's checkouts can do, told from the connectors that are there (CK-069)."""

from __future__ import annotations

from dataclasses import dataclass

from app.connectors import base, registry
from app.domain.actor import Actor
from app.services.operations.settings import checkout_settings
from app.services.payments import offers, routing

_CARD = "card"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Whether each works for this merchant in this mode."""

    three_ds: bool
    hosted_pages: bool
    split_payments: bool
    installments: bool


def of(actor: Actor) -> Capabilities:
    """Look at the connectors that this merchant could pay through now.

    3-D Secure wants one that authorises cards, and a policy that does not rule it out; a hosted page wants a
    method that can be paid on it; parts of a split payment have to be held before they are taken together.
    No connector offers installments: buying now and paying later is a method, whose plan is its provider's.
    """
    settings = checkout_settings(actor.tenant)
    cards = [registry.get(pick.type) for pick in routing.makers(actor, _CARD)]
    takes_cards = _CARD in settings.allowed_methods and any(isinstance(c, base.Authorizes) for c in cards)
    every = [registry.get(pick.type) for pick in routing.makers(actor, None)]
    return Capabilities(
        three_ds=takes_cards and settings.three_ds_policy != "never",
        hosted_pages=bool(offers.of(actor, settings.allowed_methods).methods),
        split_payments=any(isinstance(c, base.Captures) and isinstance(c, base.Voids) for c in every),
        installments=False,
    )
