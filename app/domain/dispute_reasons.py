"""Why a cardholder disputes a payment: what the word means, and what usually convinces their bank."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DisputeReason:
    """A reason in words: its name, what the cardholder says, and what speaks for the merchant."""

    code: str
    title: str
    claim: str
    evidence: tuple[str, ...]


_DELIVERED = "Proof that it was delivered to their address, with the date: the carrier's page or a signature"
_TALKED = "What you wrote to each other"

REASONS: dict[str, DisputeReason] = {
    item.code: item
    for item in (
        DisputeReason(
            "fraud",
            "Fraud",
            "The cardholder says that they did not make this payment, and did not allow it.",
            (
                "That 3-D Secure was passed, where it was: see the payment's attempts",
                "Earlier orders of the same person to the same address or device",
                _DELIVERED,
            ),
        ),
        DisputeReason(
            "product_not_received",
            "Not received",
            "The cardholder says that what they paid for never came.",
            (_DELIVERED, "For a service or a download: when it was used, and from where", _TALKED),
        ),
        DisputeReason(
            "product_unacceptable",
            "Not as described",
            "The cardholder says that what came was broken, wrong, or not what you had described.",
            ("Your description of it, as it stood when they ordered", "Pictures of what was sent", _TALKED),
        ),
        DisputeReason(
            "duplicate",
            "Charged twice",
            "The cardholder says that they were charged more than once for one thing.",
            ("Both orders, showing that they are not the same", "The refund, where you have made one"),
        ),
        DisputeReason(
            "credit_not_processed",
            "Refund not received",
            "The cardholder says that a refund was promised to them and never came.",
            ("Your refund policy, as they saw it", "The refund, where you have made one", _TALKED),
        ),
        DisputeReason(
            "subscription_canceled",
            "Subscription had ended",
            "The cardholder says that they had canceled the subscription before you charged them.",
            (
                "That it had not been canceled, or was after this charge",
                "Your terms of cancelling, as they saw them",
                "That it went on being used",
            ),
        ),
        DisputeReason(
            "unrecognized",
            "Not recognised",
            "The cardholder does not know what the line on their statement is.",
            ("What they ordered and when, with their name on it", _DELIVERED, _TALKED),
        ),
        DisputeReason(
            "general",
            "No reason given",
            "The cardholder asks about this payment, and their bank has not said why.",
            ("What they ordered and when, with their name on it", _DELIVERED),
        ),
        DisputeReason(
            "incorrect_account_details",
            "Wrong account",
            "The cardholder's bank says that the account of this payment was not right.",
            ("What was paid for, and by whom", _TALKED),
        ),
    )
}


def describe(code: str) -> DisputeReason:
    """The words of a reason; one that is not known gets plain ones."""
    known = REASONS.get(code)
    if known is not None:
        return known
    return DisputeReason(
        code,
        code.replace("_", " ").capitalize(),
        "The cardholder disputes this payment. Their bank gives no reason that is known here.",
        ("What they ordered, and that they got it", _TALKED),
    )
