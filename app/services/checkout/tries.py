"""Codes must not be found by trying: how many a shopper may try. A merchant's server may try all it likes."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.actor import Actor
from app.kit import addresses
from app.models.checkout.session import CheckoutSession
from app.services.operations import rate_limits
from app.services.operations.rate_limits import Left

#: Within ten minutes: of one session, and from one network address. A code of a gift card is money; for a
#: token of a gateway's card fields the gateway is asked.
GIFT_CARD, PROMOTION, CARD_TOKEN = "giftcard", "promotion", "cardtoken"
PER_SESSION = {GIFT_CARD: 10, PROMOTION: 20, CARD_TOKEN: 20}
PER_ADDRESS = {GIFT_CARD: 30, PROMOTION: 300, CARD_TOKEN: 120}
WINDOW_SECONDS = 600


def count(actor: Actor, kind: str, checkout_id: str | None = None) -> list[Left]:
    """Count one try of a code, before it is looked up; of no session yet by the address alone.

    Raises:
        RateLimited: too many.
    """
    if not actor.is_shopper:
        return []
    hits, window = [], WINDOW_SECONDS
    if checkout_id is not None:
        hits.append(
            rate_limits.hit(f"{kind}_session", checkout_id, limit=PER_SESSION[kind], window_seconds=window)
        )
    if actor.address:
        who = f"{actor.tenant_id}:{addresses.line(actor.address)}"
        hits.append(rate_limits.hit(f"{kind}_address", who, limit=PER_ADDRESS[kind], window_seconds=window))
    return hits


def promotion(
    actor: Actor, work: Callable[[], CheckoutSession], checkout_id: str | None = None
) -> CheckoutSession:
    """Do what looks promotion codes up: a try, which does not count where all that the session has are good.

    Many shoppers of one address, an office or a telephone network, may use one good code.

    Raises:
        RateLimited: too many.
    """
    hits = count(actor, PROMOTION, checkout_id)
    session = work()
    if hits and not session.validation_issues:
        rate_limits.take_back(hits)
    return session
