"""Payment methods as clients know them: their names, what paying is like, where each is offered (OP-47)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: What CK-021 and CK-031 take; other surfaces have lists of their own.
CHECKOUT_TYPES = ("card", "paypal", "apple_pay", "bank_transfer", "buy_now_pay_later")

CARD, WALLET, REDIRECT, QR, TRANSFER, DEBIT = (
    "card",
    "wallet",
    "redirect",
    "qr_code",
    "bank_transfer",
    "debit",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A method: how a person calls it, and what paying with it is like."""

    label: str
    flow: str


KINDS: dict[str, Kind] = {
    "card": Kind("Card", CARD),
    "apple_pay": Kind("Apple Pay", WALLET),
    "google_pay": Kind("Google Pay", WALLET),
    "paypal": Kind("PayPal", REDIRECT),
    "ideal": Kind("iDEAL", REDIRECT),
    "bancontact": Kind("Bancontact", REDIRECT),
    "klarna": Kind("Klarna", REDIRECT),
    "buy_now_pay_later": Kind("Pay later", REDIRECT),
    "promptpay": Kind("PromptPay", QR),
    "bank_transfer": Kind("Bank transfer", TRANSFER),
    "bank_account": Kind("Bank account", DEBIT),
    "sepa_debit": Kind("SEPA direct debit", DEBIT),
}

#: What a confirm may ask the client to do next, for each flow.
NEXT_ACTIONS: dict[str, tuple[str, ...]] = {
    CARD: ("3ds_challenge",),
    WALLET: ("redirect",),
    REDIRECT: ("redirect",),
    QR: ("qr_code",),
    TRANSFER: ("awaiting_webhook",),
    DEBIT: ("awaiting_webhook",),
}


def in_country(wanted: Sequence[str], country: str | None, allowed: Mapping[str, Sequence[str]]) -> list[str]:
    """The methods that a merchant takes in a country: cards, and of the others those that it lists there.

    A country that is not listed takes all of them.
    """
    listed = allowed.get(country or "")
    if listed is None:
        return list(wanted)
    return [name for name in wanted if name == "card" or name in listed]
