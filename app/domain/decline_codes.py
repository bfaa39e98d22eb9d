"""Why a payment was declined: our codes, what the shopper reads, what the merchant reads.

Reasons that would help a thief (fraud, lost, stolen) read the same to a shopper (ux.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from app.kit.words import N_

_GENERIC = N_(
    "Your payment was declined. No money has left your account. Try another card or contact your bank."
)


@dataclass(frozen=True, slots=True)
class DeclineCode:
    """A code with its words; `field` is the form field that the shopper should look at."""

    code: str
    merchant_text: str
    shopper_text: str = _GENERIC
    field: str | None = None


CODES: dict[str, DeclineCode] = {
    item.code: item
    for item in (
        DeclineCode("generic_decline", "The issuer declined without a reason"),
        DeclineCode(
            "insufficient_funds",
            "Not enough funds on the account",
            N_(
                "Your card doesn't have enough funds for this payment. No money has left your account. "
                "Try another card."
            ),
        ),
        DeclineCode("lost_card", "The card was reported lost"),
        DeclineCode("stolen_card", "The card was reported stolen"),
        DeclineCode("fraudulent", "Blocked as fraudulent"),
        DeclineCode("fraud_block", "Denied by the fraud rules; no gateway was asked"),
        DeclineCode("card_velocity_exceeded", "Too many payments with this card"),
        DeclineCode(
            "expired_card",
            "The card has expired",
            N_("Your card has expired. No money has left your account. Use another card."),
            "exp_month",
        ),
        DeclineCode(
            "incorrect_cvc",
            "Wrong security code",
            N_(
                "The security code didn't match. No money has left your account. Check the code on "
                "your card and try again."
            ),
            "cvc",
        ),
        DeclineCode("incorrect_zip", "The postcode did not match", field="postal_code"),
        DeclineCode(
            "processing_error",
            "The acquirer could not process it",
            N_("Something went wrong while processing your card. No money has left your account. Try again."),
        ),
        DeclineCode(
            "incorrect_number",
            "Not a card number",
            N_("Check the card number and type it again."),
            "card_number",
        ),
        DeclineCode(
            "authentication_required",
            "The bank wants 3-D Secure: the shopper has to be there",
            N_("Your bank wants you to confirm this payment. No money has left your account. Try again."),
        ),
        DeclineCode(
            "authentication_failed",
            "3-D Secure failed",
            N_(
                "Your bank couldn't confirm that it's you. No money has left your account. Try again or "
                "use another card."
            ),
        ),
        DeclineCode(
            "authentication_abandoned",
            "The shopper did not finish 3-D Secure",
            N_("The confirmation with your bank wasn't finished. No money has left your account. Try again."),
        ),
        DeclineCode("authorization_expired", "The authorisation ended before it was captured"),
        DeclineCode("capture_refused", "The gateway refused the capture"),
        DeclineCode(
            "gateway_unavailable",
            "The gateway could not be reached",
            N_("We couldn't reach the bank. No money has left your account. Try again in a moment."),
        ),
        DeclineCode("canceled", "Canceled before it was paid", N_("This payment was canceled.")),
    )
}


def describe(code: str | None) -> DeclineCode:
    """The words of a code; an unknown one reads as a generic decline."""
    return CODES.get(code or "", CODES["generic_decline"])
