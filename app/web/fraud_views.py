"""How fraud rules look in JSON; checkout says `cancel` where payments say `deny` (OP-34)."""

from __future__ import annotations

from typing import Any, Literal

from app.domain.rules.fraud import action_for
from app.services.risk.fraud import Rulebook
from app.web.schemas import View

PaymentAction = Literal["allow", "challenge", "deny"]
CheckoutAction = Literal["allow", "challenge", "cancel"]


def checkout_word(action: str) -> Any:
    """A stored action as the checkout surface says it."""
    return "cancel" if action == "deny" else action


class ReasonView(View):
    """A rule that held."""

    code: str
    weight: int
    text: str


class LimitView(View):
    """A limit of tries or of money in a sliding window."""

    scope: str
    max_count: int | None
    max_amount: int | None
    window_seconds: int


class RuleView(View):
    """A rule; `threshold` is where it begins to hold, null where there is nothing to count."""

    code: str
    description: str
    weight: int
    threshold: int | None
    enabled: bool


class CheckoutRuleView(RuleView):
    """The same; `action` is what it leads to where no other rule holds."""

    action: CheckoutAction


class BookView(View):
    """What payments and checkout say of a merchant's rules alike."""

    provider: str
    challenge_from: int
    three_ds_policy: str
    max_authorization_amount: int | None
    velocity: list[LimitView]


class RulesView(BookView):
    """The rules, the scores from which a payment is challenged and denied, and the limits."""

    data: list[RuleView]
    deny_from: int
    on_failure: PaymentAction

    @classmethod
    def of(cls, book: Rulebook) -> RulesView:
        """The view of a merchant's rules."""
        chosen = book.policy
        return cls(
            data=[RuleView.model_validate(rule) for rule in _rules(book)],
            deny_from=chosen.deny_from,
            on_failure=chosen.on_failure.value,
            **_book(book),
        )


class CheckoutRulesView(BookView):
    """The rules, the scores from which a checkout is challenged and canceled, and the limits."""

    data: list[CheckoutRuleView]
    cancel_from: int
    on_failure: CheckoutAction

    @classmethod
    def of(cls, book: Rulebook) -> CheckoutRulesView:
        """The view of a merchant's rules."""
        chosen = book.policy
        marks = chosen.challenge_from, chosen.deny_from
        return cls(
            data=[
                CheckoutRuleView(**rule, action=checkout_word(action_for(rule["weight"], *marks)))
                for rule in _rules(book)
            ],
            cancel_from=chosen.deny_from,
            on_failure=checkout_word(chosen.on_failure.value),
            **_book(book),
        )


def _rules(book: Rulebook) -> list[dict[str, Any]]:
    return [
        {
            "code": rule.code,
            "description": rule.text,
            "weight": rule.weight,
            "threshold": rule.threshold,
            "enabled": enabled,
        }
        for rule, enabled in book.rules
    ]


def _book(book: Rulebook) -> dict[str, Any]:
    chosen = book.policy
    return {
        "provider": chosen.provider,
        "challenge_from": chosen.challenge_from,
        "three_ds_policy": chosen.three_ds,
        "max_authorization_amount": chosen.amounts.max_authorization_amount,
        "velocity": [LimitView.model_validate(limit) for limit in chosen.limits],
    }
