"""Tokens that Stripe's own frames made: what each stands for. The card's number is nowhere in it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from app.connectors.base import ConnectorContext, MethodToken, TokenRefused
from app.connectors.stripe import api, errors, frames, marks
from app.connectors.stripe.account import NotConfigured
from app.connectors.stripe.api import Json
from app.connectors.tokens import CardToken

#: The start of a token → the list that it is in.
_LISTS = {"pm": "payment_methods", "ctoken": "confirmation_tokens", "tok": "tokens"}
_TOKEN = re.compile(r"(pm|ctoken|tok)_\w{1,120}", re.ASCII)
_WALLETS = frozenset({"apple_pay", "google_pay"})
_BRANDS = {"AMERICAN_EXPRESS": "AMEX", "DINERS_CLUB": "DINERS"}


def redeem(context: ConnectorContext, token: str) -> MethodToken:
    """See `RedeemsTokens`. A method that Stripe keeps for a customer is charged together with it.

    Raises:
        TokenRefused: not a token of this account, used already, or of a method that is not taken.
        stripe.StripeError: Stripe did not say.
    """
    made = _TOKEN.fullmatch(token)
    if made is None:
        raise TokenRefused("token_not_found", "token")
    try:
        found = api.of(context).get(f"/v1/{_LISTS[made[1]]}/{token}")
    except NotConfigured as error:
        raise TokenRefused("token_not_found", "token") from error
    except errors.Failure as error:
        if errors.is_missing(error):
            raise TokenRefused("token_not_found", "token") from error
        raise
    if found.get("used"):
        raise TokenRefused("token_expired", "token")
    return _method(token, found)


def redeem_framed(context: ConnectorContext, token: str, *, keep: bool) -> MethodToken:
    """See `FramesCards.redeem_framed`: a ConfirmationToken, and a customer where the card is kept.

    Raises:
        TokenRefused: as `redeem`.
        stripe.StripeError: Stripe did not say.
    """
    if not token.startswith("ctoken_"):
        raise TokenRefused("token_not_found", "token")
    found = redeem(context, token)
    customer = None
    if keep:
        key = f"customer_{token}"
        made = api.of(context).post("/v1/customers", key, metadata=marks.write(context, key))
        customer = str(made["id"])
    return replace(found, token=frames.token_of(token, customer))


def _method(token: str, found: Json) -> MethodToken:
    shown: Json = found.get("payment_method_preview") or found
    card: Any = shown.get("card")
    if shown.get("type") != "card" or not isinstance(card, dict):
        raise TokenRefused("payment_method_not_supported", "token")
    wallet = (card.get("wallet") or {}).get("type")
    customer, brand = found.get("customer"), str(card["brand"]).upper().replace(" ", "_")
    return CardToken(
        token=f"{customer}/{token}" if customer else token,
        type=wallet if wallet in _WALLETS else "card",
        brand=_BRANDS.get(brand, brand),
        last4=card["last4"],
        exp_month=card["exp_month"],
        exp_year=card["exp_year"],
        country=card.get("country"),
        fingerprint=card.get("fingerprint"),
    )
