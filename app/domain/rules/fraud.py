"""Fraud rules: each is a reason with a weight and, where it counts something, a threshold (PY-064).

Pure: the same facts give the same score. The score is the sum of the weights, 100 at most; two marks on
it make `allow`, `challenge` or `deny` of it (OP-34).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.domain.rules.velocity import Scope

MAX_SCORE = 100

#: So many earlier payments make a "usual" amount.
MIN_HISTORY = 20

#: Mail boxes that anybody opens for ten minutes.
DISPOSABLE_DOMAINS = frozenset(
    (
        "10minutemail.com",
        "33mail.com",
        "burnermail.io",
        "discard.email",
        "dispostable.com",
        "emailondeck.com",
        "fakeinbox.com",
        "getairmail.com",
        "getnada.com",
        "grr.la",
        "guerrillamail.com",
        "guerrillamail.net",
        "inboxkitten.com",
        "maildrop.cc",
        "mailinator.com",
        "mailnesia.com",
        "mailsac.com",
        "mintemail.com",
        "moakt.com",
        "mohmal.com",
        "sharklasers.com",
        "spamgourmet.com",
        "temp-mail.org",
        "tempmail.com",
        "throwawaymail.com",
        "trashmail.com",
        "yopmail.com",
    )
)


class Action(StrEnum):
    """What becomes of a payment."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at; no number, no whole address. Amounts in minor units.

    `tries` and `declines` are those of the last hour by scope, this try among them; `usual_amount` is what
    this merchant's payments in this currency come to on average, None where too few were made; `card_risk`
    is what the gateway's vault thinks of the card, 0 to 100; `lines` is what a checkout sells (`sku`,
    `quantity`, `unit_price`), for providers with rules about goods.
    """

    amount: int
    currency: str
    method_type: str = "card"
    usual_amount: int | None = None
    card_risk: int | None = None
    card_brand: str | None = None
    card_country: str | None = None
    billing_country: str | None = None
    shipping_country: str | None = None
    email_domain: str | None = None
    address: str | None = None
    off_session: bool = False
    lines: Sequence[Mapping[str, Any]] = ()
    tries: Mapping[str, int] = field(default_factory=dict)
    declines: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that a decision keeps as its inputs."""
        return {
            "amount": self.amount,
            "currency": self.currency,
            "method_type": self.method_type,
            "usual_amount": self.usual_amount,
            "card_risk": self.card_risk,
            "card_brand": self.card_brand,
            "card_country": self.card_country,
            "billing_country": self.billing_country,
            "shipping_country": self.shipping_country,
            "email_domain": self.email_domain,
            "address": self.address,
            "off_session": self.off_session,
            **({"lines": [dict(line) for line in self.lines]} if self.lines else {}),
            "tries": dict(self.tries),
            "declines": dict(self.declines),
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason code, what it says to a merchant, its weight, and where it begins to hold."""

    code: str
    text: str
    weight: int
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that held."""

    code: str
    weight: int
    text: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"code": self.code, "weight": self.weight, "text": self.text}


@dataclass(frozen=True, slots=True)
class Assessment:
    """A score from 0 to 100 and why; `action` only where the provider insists on one."""

    score: int
    reasons: tuple[Reason, ...] = ()
    action: Action | None = None


#: The built-in rules with their defaults; a merchant may change weights and thresholds.
RULES: tuple[Rule, ...] = (
    Rule("blocked_card", "The gateway has the card on its block list", 100, 95),
    Rule("highest_risk_card", "The gateway sees the highest risk in the card", 90, 85),
    Rule("elevated_risk_card", "The gateway sees an elevated risk in the card", 65, 65),
    Rule("amount_far_over_usual", "The amount is this many times the usual one", 25, 10),
    Rule("card_velocity", "More tries with one card in an hour", 30, 5),
    Rule("customer_velocity", "More tries by one customer in an hour", 20, 5),
    Rule("email_velocity", "More tries with one e-mail address in an hour", 20, 5),
    Rule("address_velocity", "More tries from one network address in an hour", 25, 10),
    Rule("device_velocity", "More tries from one device in an hour", 25, 5),
    Rule("repeated_declines", "So many declines of one buyer in an hour", 30, 3),
    Rule("billing_shipping_mismatch", "Billing and shipping address are in different countries", 15),
    Rule("card_country_mismatch", "The card is from another country than the billing address", 20),
    Rule("disposable_email", "The e-mail address is a throw-away one", 25),
)
BY_CODE = {rule.code: rule for rule in RULES}


def evaluate(facts: Facts, rules: Iterable[Rule] = RULES) -> Assessment:
    """The score of these facts under these rules."""
    held = [rule for rule in rules if _CHECKS[rule.code](facts, rule.threshold or 0)]
    held = _strongest_card_rule(held)
    reasons = tuple(Reason(rule.code, rule.weight, rule.text) for rule in held)
    return Assessment(min(sum(rule.weight for rule in held), MAX_SCORE), reasons)


def action_for(score: int, challenge_from: int, deny_from: int) -> Action:
    """What a score leads to."""
    if score >= deny_from:
        return Action.DENY
    return Action.CHALLENGE if score >= challenge_from else Action.ALLOW


def email_domain(address: str | None) -> str | None:
    """The domain of an e-mail address, lower case."""
    _, at, domain = (address or "").strip().lower().rpartition("@")
    return domain if at and domain else None


def same_mailbox(address: str) -> str:
    """The form under which an e-mail address is counted: lower case, without its `+tag`."""
    local, _, domain = address.strip().lower().rpartition("@")
    return f"{local.split('+', maxsplit=1)[0]}@{domain}"


def _strongest_card_rule(held: list[Rule]) -> list[Rule]:
    """The vault's opinion counts once, by the strongest of its three rules."""
    of_card = [rule for rule in held if rule.code in _CARD_RULES]
    return [rule for rule in held if rule.code not in _CARD_RULES or rule is of_card[0]]


_CARD_RULES = ("blocked_card", "highest_risk_card", "elevated_risk_card")


def _card_risk(facts: Facts, threshold: int) -> bool:
    return facts.card_risk is not None and facts.card_risk >= threshold


def _tries(scope: Scope) -> Callable[[Facts, int], bool]:
    return lambda facts, threshold: facts.tries.get(scope, 0) > threshold


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


_CHECKS: dict[str, Callable[[Facts, int], bool]] = {
    "blocked_card": _card_risk,
    "highest_risk_card": _card_risk,
    "elevated_risk_card": _card_risk,
    "amount_far_over_usual": lambda facts, threshold: (
        facts.usual_amount is not None and facts.amount >= facts.usual_amount * threshold
    ),
    "card_velocity": _tries(Scope.CARD),
    "customer_velocity": _tries(Scope.CUSTOMER),
    "email_velocity": _tries(Scope.EMAIL),
    "address_velocity": _tries(Scope.ADDRESS),
    "device_velocity": _tries(Scope.DEVICE),
    "repeated_declines": lambda facts, threshold: max(facts.declines.values(), default=0) >= threshold,
    "billing_shipping_mismatch": lambda facts, _: _differ(facts.billing_country, facts.shipping_country),
    "card_country_mismatch": lambda facts, _: _differ(facts.card_country, facts.billing_country),
    "disposable_email": lambda facts, _: facts.email_domain in DISPOSABLE_DOMAINS,
}
