"""What a merchant has chosen about risk: marks, weights, limits, 3-D Secure, and what a failure means.

Kept in the merchant's settings under `fraud`, `velocity`, `three_ds_policy`, `max_authorization_amount` and
`max_confirms_per_session` (OP-43, CK-070); domain/rules/risk_choices.py says what may stand there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.domain.actor import Mode, TenantProfile
from app.domain.rules.amounts import AmountLimits
from app.domain.rules.fraud import RULES, Action, Rule
from app.domain.rules.risk_choices import BUILTIN, CHALLENGE_FROM, DENY_FROM, THREE_DS
from app.domain.rules.velocity import Limit, Scope
from app.services.operations.settings import checkout_settings

#: Without a choice of the merchant's own. Ten confirms a minute and address: security.md, limits.
ADDRESS_LIMIT = Limit(Scope.ADDRESS, 10, 60)
#: Card testing (reliability.md 42). In test mode everybody uses the same few cards: there only on request.
CARD_LIMITS = (Limit(Scope.CARD, 10, 3600), Limit(Scope.CARD_PREFIX, 100, 600))


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of one merchant in one mode; amounts in minor units, durations in seconds."""

    provider: str
    challenge_from: int
    deny_from: int
    on_failure: Action
    rules: tuple[Rule, ...]
    limits: tuple[Limit, ...]
    counts_cards: bool
    three_ds: str
    amounts: AmountLimits
    max_confirms: int | None


def of(profile: TenantProfile, mode: str) -> Policy:
    """The policy of a merchant; what is not chosen has its default."""
    settings = profile.settings
    fraud: Mapping[str, Any] = settings.get("fraud") or {}
    limits = velocity_limits(settings.get("velocity"), mode)
    live = mode == Mode.LIVE
    return Policy(
        provider=fraud.get("provider") or BUILTIN,
        challenge_from=fraud.get("challenge_from") or CHALLENGE_FROM,
        deny_from=fraud.get("deny_from") or DENY_FROM,
        on_failure=Action(fraud.get("on_failure") or Action.CHALLENGE),
        rules=_rules(fraud.get("rules") or {}),
        limits=limits,
        counts_cards=live or any(limit.scope == Scope.CARD for limit in limits),
        three_ds=settings.get("three_ds_policy") or THREE_DS[0],
        amounts=checkout_settings(profile).amounts,
        max_confirms=settings.get("max_confirms_per_session"),
    )


def _rules(chosen: Mapping[str, Mapping[str, Any]]) -> tuple[Rule, ...]:
    if not chosen:
        return RULES
    made = []
    for rule in RULES:
        mine = chosen.get(rule.code, {})
        if mine.get("enabled", True):
            kept = {name: mine[name] for name in ("weight", "threshold") if mine.get(name) is not None}
            made.append(replace(rule, **kept))
    return tuple(made)


def velocity_limits(chosen: Sequence[Mapping[str, Any]] | None, mode: str) -> tuple[Limit, ...]:
    """The limits of a choice in a mode; without one, the built-in ones."""
    if chosen is None:
        return (ADDRESS_LIMIT, *(CARD_LIMITS if mode == Mode.LIVE else ()))
    return tuple(
        Limit(Scope(item["scope"]), item.get("max_count"), item["window_seconds"], item.get("max_amount"))
        for item in chosen
    )
