"""Built-in fraud provider: the rules of domain/rules/fraud.py, which need nothing but the facts."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.rules.fraud import Assessment, Facts, Rule, evaluate


class BuiltinFraud:
    """Deterministic: the same facts give the same score."""

    remote = False
    name = "builtin"

    def assess(self, facts: Facts, rules: Sequence[Rule]) -> Assessment:
        """See `Fraud.assess`."""
        return evaluate(facts, rules)
