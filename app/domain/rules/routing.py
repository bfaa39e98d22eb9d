"""Which connector a payment is tried at: a merchant's rules first, then priorities (PY-040, requirement 6).

Pure: the services bring the facts. The lower number of two priorities comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at; `amount` in minor units, `card_brand` upper case, None where it is not known."""

    amount: int
    currency: str
    country: str | None = None
    card_brand: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions, all of which must hold; one that is None always does. Amounts are inclusive bounds."""

    currency: str | None = None
    country: str | None = None
    card_brand: str | None = None
    amount_min: int | None = None
    amount_max: int | None = None

    def holds(self, facts: Facts) -> bool:
        """Whether the payment is one of these; what is not known of it meets no condition."""
        return (
            self.currency in (None, facts.currency)
            and self.country in (None, facts.country)
            and self.card_brand in (None, facts.card_brand)
            and (self.amount_min is None or facts.amount >= self.amount_min)
            and (self.amount_max is None or facts.amount <= self.amount_max)
        )

    @property
    def conditions(self) -> int:
        """How narrow it is."""
        each = (self.currency, self.country, self.card_brand, self.amount_min, self.amount_max)
        return sum(condition is not None for condition in each)


@dataclass(frozen=True, slots=True)
class Rule:
    """Payments that match go to this connector."""

    id: str
    connector_id: str
    priority: int
    match: Match


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connector that could take the payment."""

    id: str
    priority: int


class Reason(StrEnum):
    """Why a connector has its place."""

    RULE = "rule"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True)
class Choice:
    """A connector in its place; `rule_id` names the rule that put it there."""

    connector_id: str
    reason: Reason
    rule_id: str | None = None


def order(facts: Facts, rules: Iterable[Rule], candidates: Iterable[Candidate]) -> tuple[Choice, ...]:
    """The candidates in the order in which they are tried, each once.

    Connectors of matching rules come first: by the rule's priority, then the narrower rule, then the older.
    The others follow by their own priority, then the older.
    """
    left = {candidate.id: candidate for candidate in candidates}
    matching = [rule for rule in rules if rule.match.holds(facts)]
    matching.sort(key=lambda rule: (rule.priority, -rule.match.conditions, rule.id))
    chosen = []
    for rule in matching:
        if left.pop(rule.connector_id, None) is not None:
            chosen.append(Choice(rule.connector_id, Reason.RULE, rule.id))
    others = sorted(left.values(), key=lambda candidate: (candidate.priority, candidate.id))
    return (*chosen, *(Choice(candidate.id, Reason.PRIORITY) for candidate in others))
