"""The behaviour table: every test card of the sandbox and what it does (sandbox.md).

The numbers are the field's published test values; those that begin with 400000999 are our own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from app.domain.rules.cards import brand_of


class Behaviour(StrEnum):
    """What the acquirer does with a card or an account."""

    REFUSE = "refuse"
    APPROVE = "approve"
    DECLINE = "decline"
    CHALLENGE = "challenge"
    CHALLENGE_THEN_DECLINE = "challenge_then_decline"
    CHALLENGE_ERROR = "challenge_error"
    FRICTIONLESS = "frictionless"
    REFUND_LATER = "refund_later"
    REFUND_RETURNED = "refund_returned"
    DISPUTE = "dispute"
    TIME_OUT_BEFORE = "time_out_before"
    TIME_OUT_AFTER = "time_out_after"
    TRUNCATED = "truncated"
    WRONG_AMOUNT = "wrong_amount"
    WEBHOOK_TWICE = "webhook_twice"
    WEBHOOK_LATE = "webhook_late"
    WEBHOOK_DISORDER = "webhook_disorder"
    STAYS_PENDING = "stays_pending"


#: ISO 3166-1 numeric codes as they stand in test numbers.
_COUNTRIES = {"250": "FR", "276": "DE", "380": "IT", "826": "GB", "840": "US"}


@dataclass(frozen=True, slots=True)
class TestCard:
    """A number, what it does, and the detail of it (a decline code, a dispute reason)."""

    __test__ = False

    number: str
    behaviour: Behaviour
    description: str
    detail: str = ""
    risk_score: int = 12

    @property
    def brand(self) -> str:
        """The network, upper case."""
        return brand_of(self.number)

    @property
    def country(self) -> str | None:
        """Where it was issued: the field's test numbers say it in digits 7 to 9, most say nothing."""
        return _COUNTRIES.get(self.number[6:9]) if self.number.startswith("400000") else None

    @property
    def id(self) -> str:
        """A name for programs, which holds no number: `insufficient_funds_9995`."""
        words = re.sub(r"[^a-z0-9]+", "_", self.description.lower()).strip("_")
        return f"{words}_{self.number[-4:]}"

    @property
    def decline_code(self) -> str | None:
        """Why it is declined, where it is."""
        declined = self.behaviour in (Behaviour.DECLINE, Behaviour.CHALLENGE_THEN_DECLINE, Behaviour.REFUSE)
        return self.detail if declined else None

    @property
    def spaced(self) -> str:
        """The number in groups, as it stands on a card."""
        return " ".join(self.number[i : i + 4] for i in range(0, len(self.number), 4))


#: Details of `CHALLENGE` cards: what an earlier authentication, or none, changes.
ALREADY_SET_UP, UNLESS_SET_UP = "already_set_up", "unless_set_up"
#: Detail of a `FRICTIONLESS` card whose issuer cannot be asked.
LOOK_UP_ERROR = "look_up_error"
#: Details of `APPROVE` cards: how a payment comes to be settled (settlement.py).
SETTLES_AT_ONCE, SETTLES_NEVER, SETTLES_SHORT = "settles_at_once", "settles_never", "settles_short"
SETTLES_TWICE, SETTLES_WITH_STRANGER = "settles_twice", "settles_with_stranger"

_B = Behaviour

CARDS: tuple[TestCard, ...] = (
    TestCard("4242424242424242", _B.APPROVE, "Succeeds (Visa)"),
    TestCard("5555555555554444", _B.APPROVE, "Succeeds (Mastercard)"),
    TestCard("378282246310005", _B.APPROVE, "Succeeds (American Express)"),
    TestCard("4000000000000002", _B.DECLINE, "Declined", "generic_decline"),
    TestCard("4000000000009995", _B.DECLINE, "Insufficient funds", "insufficient_funds"),
    TestCard("4000000000009987", _B.DECLINE, "Lost card", "lost_card"),
    TestCard("4000000000009979", _B.DECLINE, "Stolen card", "stolen_card"),
    TestCard("4000000000006975", _B.DECLINE, "Velocity exceeded", "card_velocity_exceeded"),
    TestCard("4000000000000069", _B.DECLINE, "Expired card", "expired_card"),
    TestCard("4000000000000127", _B.DECLINE, "Wrong security code", "incorrect_cvc"),
    TestCard("4000000000000119", _B.DECLINE, "Processing error", "processing_error"),
    TestCard("4242424242424241", _B.REFUSE, "Not a card number", "incorrect_number"),
    TestCard("4000000000000341", _B.DECLINE, "Attaches, then charges fail", "generic_decline"),
    TestCard("4100000000000019", _B.DECLINE, "Always blocked", "fraudulent", 99),
    TestCard("4000000000004954", _B.APPROVE, "Highest risk", "", 90),
    TestCard("4000000000009235", _B.APPROVE, "Elevated risk", "", 70),
    TestCard("4000000000000101", _B.APPROVE, "Security code check fails", "cvc_fail"),
    TestCard("4000000000000036", _B.APPROVE, "Postcode check fails", "zip_fail"),
    TestCard("4000000000003220", _B.CHALLENGE, "3-D Secure, then succeeds"),
    TestCard("4000000000003063", _B.CHALLENGE, "3-D Secure, then succeeds"),
    TestCard("4000002760003184", _B.CHALLENGE, "3-D Secure every time"),
    TestCard("4000002500003155", _B.CHALLENGE, "3-D Secure unless set up before", UNLESS_SET_UP),
    TestCard("4000003800000446", _B.CHALLENGE, "Set up; on-session still 3-D Secure", ALREADY_SET_UP),
    TestCard(
        "4000008260003178", _B.CHALLENGE_THEN_DECLINE, "3-D Secure, then no funds", "insufficient_funds"
    ),
    TestCard("4000008400001629", _B.CHALLENGE_THEN_DECLINE, "3-D Secure, then declined", "generic_decline"),
    TestCard("4000008400001280", _B.CHALLENGE_ERROR, "3-D Secure look-up error", "generic_decline"),
    TestCard("4000000000003055", _B.FRICTIONLESS, "3-D Secure without a challenge"),
    TestCard("4000000000003097", _B.FRICTIONLESS, "3-D Secure optional, look-up error", LOOK_UP_ERROR),
    TestCard("4000000000000259", _B.DISPUTE, "Disputed as fraudulent", "fraudulent"),
    TestCard("4000000000002685", _B.DISPUTE, "Disputed: not received", "product_not_received"),
    TestCard("4000000000001976", _B.DISPUTE, "Inquiry", "inquiry"),
    TestCard("4000000000005423", _B.DISPUTE, "Early fraud warning", "early_fraud_warning"),
    TestCard("4000000000007726", _B.REFUND_LATER, "Refund pending, then succeeds"),
    TestCard("4000000000005126", _B.REFUND_RETURNED, "Refund succeeds, then fails"),
    TestCard("4000000000000077", _B.APPROVE, "Settles at once", SETTLES_AT_ONCE),
    TestCard("4000009990000013", _B.TIME_OUT_BEFORE, "Time-out before it is executed"),
    TestCard("4000009990000021", _B.TIME_OUT_AFTER, "Time-out after it is executed"),
    TestCard("4000009990000039", _B.WEBHOOK_TWICE, "Webhook comes twice"),
    TestCard("4000009990000047", _B.WEBHOOK_DISORDER, "Webhooks come in the wrong order"),
    TestCard("4000009990000054", _B.WEBHOOK_LATE, "Webhook comes 48 hours late"),
    TestCard("4000009990000062", _B.TRUNCATED, "The answer is cut short"),
    TestCard("4000009990000070", _B.WRONG_AMOUNT, "The answer names another amount"),
    TestCard("4000009990007703", _B.APPROVE, "Its line is missing from the settlement", SETTLES_NEVER),
    TestCard("4000009990007711", _B.APPROVE, "Settled with 100 minor units too few", SETTLES_SHORT),
    TestCard("4000009990007729", _B.APPROVE, "Settled twice", SETTLES_TWICE),
    TestCard(
        "4000009990007737", _B.APPROVE, "Settled beside a line that nobody knows", SETTLES_WITH_STRANGER
    ),
)

BY_NUMBER = {card.number: card for card in CARDS}
