"""Routing as a pure function: a table of examples, and what holds for any rules and connectors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rules.routing import Candidate, Facts, Match, Reason, Rule, order

PAYMENT = Facts(5000, "EUR", "FR", "VISA")
CONNECTORS = (Candidate("con_a", 10), Candidate("con_b", 20), Candidate("con_c", 20))


def rule(number: int, connector: str, priority: int = 100, **match: object) -> Rule:
    return Rule(f"rr_{number}", f"con_{connector}", priority, Match(**match))  # type: ignore[arg-type]


EXAMPLES: dict[str, tuple[list[Rule], str]] = {
    "no rule: by priority, then age": ([], "abc"),
    "a rule that matches comes first": ([rule(1, "c", currency="EUR")], "cab"),
    "one that does not changes nothing": ([rule(1, "c", currency="GBP")], "abc"),
    "all conditions must hold": ([rule(1, "c", currency="EUR", country="DE")], "abc"),
    "each kind of condition": (
        [rule(1, "c", currency="EUR", country="FR", card_brand="VISA", amount_min=5000, amount_max=5000)],
        "cab",
    ),
    "another brand": ([rule(1, "c", card_brand="AMEX")], "abc"),
    "amounts are inclusive": ([rule(1, "c", amount_min=5000), rule(2, "b", amount_max=5000)], "cba"),
    "over the range": ([rule(1, "c", amount_max=4999)], "abc"),
    "under the range": ([rule(1, "c", amount_min=5001)], "abc"),
    "an empty match takes everything": ([rule(1, "b")], "bac"),
    "the lower priority wins": ([rule(1, "b", 100), rule(2, "c", 1)], "cba"),
    "then the narrower": ([rule(1, "b"), rule(2, "c", currency="EUR")], "cba"),
    "then the older": ([rule(2, "b", country="FR"), rule(1, "c", currency="EUR")], "cba"),
    "a priority beats narrowness": (
        [rule(1, "b", 1), rule(2, "c", 2, currency="EUR", country="FR")],
        "bca",
    ),
    "a connector stands once, where it is first": (
        [rule(1, "c", 1), rule(2, "c", 2), rule(3, "b", 3)],
        "cba",
    ),
    "a rule to a connector that cannot take it": ([rule(1, "x"), rule(2, "b", 200)], "bac"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    rules, expected = EXAMPLES[name]
    found = "".join(choice.connector_id.removeprefix("con_") for choice in order(PAYMENT, rules, CONNECTORS))
    assert found == expected


def test_what_is_not_known_of_a_payment_meets_no_condition() -> None:
    unknown = replace(PAYMENT, country=None, card_brand=None)
    for condition in ({"country": "FR"}, {"card_brand": "VISA"}):
        assert order(unknown, [rule(1, "c", **condition)], CONNECTORS)[0].connector_id == "con_a"


def test_each_choice_says_why() -> None:
    choices = order(PAYMENT, [rule(7, "b", currency="EUR")], CONNECTORS[:2])
    assert [(c.connector_id, c.reason, c.rule_id) for c in choices] == [
        ("con_b", Reason.RULE, "rr_7"),
        ("con_a", Reason.PRIORITY, None),
    ]


currencies = st.sampled_from(["EUR", "GBP"])
countries = st.sampled_from(["FR", "GB"])
brands = st.sampled_from(["VISA", "AMEX"])
amounts = st.integers(0, 10)
matches = st.builds(
    Match,
    currency=st.none() | currencies,
    country=st.none() | countries,
    card_brand=st.none() | brands,
    amount_min=st.none() | amounts,
    amount_max=st.none() | amounts,
)
ids = st.sampled_from([f"con_{letter}" for letter in "abcdef"])
rules_ = st.lists(
    st.builds(Rule, id=st.uuids().map(str), connector_id=ids, priority=st.integers(0, 3), match=matches),
    max_size=8,
)
candidates = st.lists(
    st.builds(Candidate, id=ids, priority=st.integers(0, 3)), unique_by=lambda c: c.id, max_size=6
)
payments = st.builds(
    Facts,
    amount=amounts,
    currency=currencies,
    country=st.none() | countries,
    card_brand=st.none() | brands,
)


@given(payment=payments, rules=rules_, able=candidates, shuffle=st.randoms())
def test_any_rules(payment: Facts, rules: list[Rule], able: list[Candidate], shuffle: object) -> None:
    choices = order(payment, rules, able)
    assert sorted(c.connector_id for c in choices) == sorted(c.id for c in able), "each candidate once"
    by_rule = [c for c in choices if c.reason == Reason.RULE]
    assert list(choices[: len(by_rule)]) == by_rule, "rules come before priorities"
    by_id = {rule.id: rule for rule in rules}
    for choice in by_rule:
        used = by_id[str(choice.rule_id)]
        assert used.match.holds(payment) and used.connector_id == choice.connector_id
    ranks = [by_id[str(c.rule_id)].priority for c in by_rule]
    assert ranks == sorted(ranks)
    ruled = {c.connector_id for c in by_rule}
    assert ruled == {r.connector_id for r in rules if r.match.holds(payment)} & {c.id for c in able}
    priorities = {c.id: c.priority for c in able}
    rest = [priorities[c.connector_id] for c in choices if c.reason == Reason.PRIORITY]
    assert rest == sorted(rest)
    mixed, turned = list(rules), list(able)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    shuffle.shuffle(turned)  # type: ignore[attr-defined]
    assert order(payment, mixed, turned) == choices, "the order in which they are read does not matter"
