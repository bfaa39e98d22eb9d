"""Payment methods of Stripe's test mode by what they do, and a few of the stand-in's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Behaviour:
    """What becomes of a payment with this method."""

    decline: str | None = None
    code: str = "card_declined"
    challenge: str | None = None
    extra_amount: int = 0
    other_currency: str | None = None
    refunds: str = "succeeded"
    drops: str | None = None


TOKENS = {
    "pm_card_visa": Behaviour(),
    "tok_visa": Behaviour(),
    "ctoken_visa": Behaviour(),
    "pm_card_visa_chargeDeclined": Behaviour("generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": Behaviour("insufficient_funds"),
    "pm_card_visa_chargeDeclinedStolenCard": Behaviour("stolen_card"),
    "pm_card_visa_chargeDeclinedDoNotHonor": Behaviour("do_not_honor"),
    "pm_card_chargeDeclinedExpiredCard": Behaviour("expired_card", "expired_card"),
    "pm_card_chargeDeclinedIncorrectCvc": Behaviour("incorrect_cvc", "incorrect_cvc"),
    "pm_card_authenticationRequired": Behaviour(challenge="redirect_to_url"),
    "pm_card_authenticationRequiredSdk": Behaviour(challenge="use_stripe_sdk"),
    "pm_card_threeDSecureRequiredChargeDeclined": Behaviour("card_declined", challenge="redirect_to_url"),
    "pm_card_pendingRefund": Behaviour(refunds="pending"),
    "pm_card_refundFail": Behaviour(refunds="failed"),
    # The stand-in's own:
    "pm_card_wrong_amount": Behaviour(extra_amount=100),
    "pm_card_wrong_currency": Behaviour(other_currency="usd"),
    "pm_card_lost_answer": Behaviour(drops="after"),
    "pm_card_lost_call": Behaviour(drops="before"),
}
