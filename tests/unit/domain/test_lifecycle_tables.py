"""Lifecycles: the tables are complete, say what reliability.md says, and lead to an end from everywhere."""

from __future__ import annotations

import itertools
import random
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidState
from app.domain.lifecycles import checkout_sessions, disputes, intents, mermaid
from app.domain.lifecycles.base import Edge, IllegalTransition, Lifecycle
from app.domain.lifecycles.registry import ALL

#: reliability.md's paths, with decisions 1-7 and OP-21; `>` is one step.
WALKS = {
    "payment_intent": [
        "requires_payment_method>requires_confirmation>processing>requires_action>processing>requires_capture",
        "requires_capture>processing>succeeded",
        "requires_payment_method>processing",
        "processing>requires_capture",
        "processing>authorized>succeeded",
        "processing>requires_payment_method",
        "requires_action>requires_payment_method",
        "processing>failed",
        "requires_payment_method>canceled",
        "requires_confirmation>canceled",
        "requires_action>canceled",
        "requires_capture>canceled",
    ],
    "attempt": [
        "created>submitted>action_required>submitted>authorized>capture_submitted>captured",
        "submitted>captured",
        "submitted>declined",
        "submitted>unknown>not_found",
        "action_required>declined",
        "unknown>action_required",
        "unknown>authorized",
        "unknown>captured",
        "unknown>declined",
        "capture_submitted>capture_unknown>captured",
        "capture_submitted>authorized",
        "capture_unknown>authorized",
        "authorized>void_submitted>voided",
        "void_submitted>void_unknown>voided",
        "void_unknown>authorized",
        "void_unknown>captured",
        "authorized>auth_expired",
    ],
    "refund": [
        "pending>processing>succeeded>failed",
        "processing>failed",
        "processing>requires_action>processing",
        "requires_action>failed",
        "pending>failed",
    ],
    "dispute": [
        "needs_response>under_review>won>closed",
        "under_review>lost>closed",
        "needs_response>lost",
        "warning>closed",
        "warning>needs_response",
    ],
    "checkout": [
        "created>collecting>reserved>payment_processing>completed",
        "reserved>collecting",
        "payment_processing>reserved",
        "payment_processing>failed",
        "payment_processing>canceled",
        "created>canceled",
        "collecting>canceled",
        "reserved>canceled",
        "created>reserved",
        "created>payment_processing",
        "collecting>payment_processing",
        "collecting>completed",
        "reserved>completed",
        "reserved>failed",
        "failed>collecting",
        "failed>reserved",
        "failed>completed",
        "failed>canceled",
        "completed>failed",
    ],
    "hosted_session": ["open>complete", "open>expired"],
    "reservation": ["active>captured>returned", "active>released", "active>expired"],
    "settlement": ["pending>posted>reconciled"],
    "payout": ["pending>processing>paid>failed", "processing>failed"],
    "delivery": ["pending>leased>delivered", "leased>retry_wait>leased>exhausted", "leased>pending"],
    "job": ["queued>leased>done", "leased>retry_wait>queued", "leased>dead>queued", "leased>queued"],
    "connector": [
        "active>disabled>active>error>active>deleted",
        "error>disabled>deleted",
        "error>deleted",
    ],
    "payment_method": ["active>revoked"],
    "method_verification": ["pending>verified", "pending>failed"],
    "wallet_hold": ["held>taken>returned", "held>released"],
    "finalization": [
        "running>completed>undoing>undone",
        "running>failed>undoing>undo_failed>undoing",
        "running>canceled",
        "running>undoing",
    ],
    "review": ["pending>approved", "pending>rejected"],
    "kyc": ["pending>submitted>approved", "submitted>rejected", "pending>approved", "pending>rejected"],
    "subscription": [
        "active>active>past_due>past_due>active>canceled",
        "past_due>canceled",
    ],
    "subscription_period": ["open>paid", "open>failed", "open>void"],
    "order": ["pending>paid>shipped>delivered", "pending>cancelled", "paid>cancelled"],
}
#: Steps beyond reliability.md's words, each needed by something that lives.
EXTRA = {
    "payment_intent": {
        ("authorized", "requires_payment_method"),
        ("authorized", "failed"),
        ("requires_action", "failed"),
        ("processing", "canceled"),
        ("authorized", "canceled"),
        ("processing", "succeeded"),
        ("requires_confirmation", "requires_confirmation"),
    },
    "attempt": {("unknown", "voided")},
    "reservation": {("active", "active")},
    "wallet_hold": {("held", "held")},
    "review": {("pending", "pending")},
    "delivery": {("pending", "exhausted"), ("retry_wait", "exhausted")},
    "job": {("retry_wait", "leased")},
}
NAMES = st.sampled_from(sorted(ALL))


def steps(lifecycle: Lifecycle[Any, Any]) -> set[tuple[str, str]]:
    return {(str(edge.source), str(edge.target)) for edge in lifecycle.edges if edge.source is not None}


def words(lifecycle: Lifecycle[Any, Any], part: str) -> list[str]:
    return [str(word) for word in type(getattr(lifecycle.edges[0], part))]


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_table_has_the_written_steps_and_no_other(name: str) -> None:
    walks = [walk.split(">") for walk in WALKS[name]]
    written = {pair for walk in walks for pair in itertools.pairwise(walk)}
    assert steps(ALL[name]) == written | EXTRA.get(name, set())


@pytest.mark.parametrize("name", sorted(ALL))
def test_an_end_can_be_reached_from_everywhere(name: str) -> None:
    lifecycle = ALL[name]
    ending, grew = set(lifecycle.terminal), True
    assert ending
    while grew:
        more = {source for source, target in steps(lifecycle) if target in ending} - ending
        ending |= more
        grew = bool(more)
    assert ending == set(words(lifecycle, "target"))


@pytest.mark.parametrize(
    ("name", "over"),
    [
        ("payment_intent", {"succeeded", "canceled", "failed"}),
        ("attempt", {"captured", "declined", "not_found", "voided", "auth_expired"}),
        ("refund", {"failed"}),
        ("checkout", {"canceled"}),
        ("dispute", {"closed"}),
        ("delivery", {"delivered", "exhausted"}),
        ("order", {"delivered", "cancelled"}),
    ],
)
def test_what_is_over_stays_over(name: str, over: set[str]) -> None:
    assert ALL[name].terminal == over
    for status in over:
        assert ALL[name].is_terminal(status)
        assert not ALL[name].triggers_from(status)


@given(NAMES, st.data())
def test_every_question_has_one_answer(name: str, data: st.DataObject) -> None:
    lifecycle = ALL[name]
    source = data.draw(st.sampled_from(words(lifecycle, "target")))
    trigger = data.draw(st.sampled_from(words(lifecycle, "trigger")))
    if lifecycle.allows(source, trigger):
        assert lifecycle.edge(source, trigger).target == lifecycle.triggers_from(source)[trigger]
    else:
        with pytest.raises(IllegalTransition) as refused:
            lifecycle.edge(source, trigger)
        assert (refused.value.http_status, refused.value.code) == (409, "invalid_state")
        assert refused.value.explain == {"reason": "invalid_state", "status": source, "trigger": trigger}


@given(NAMES, st.integers(0, 2**32), st.integers(1, 40))
def test_a_walk_never_leaves_the_table(name: str, seed: int, length: int) -> None:
    lifecycle, chance = ALL[name], random.Random(seed)
    status = chance.choice(sorted(lifecycle.births))
    for _ in range(length):
        ways = lifecycle.triggers_from(status)
        if not ways:
            assert status in lifecycle.terminal
            return
        status = str(lifecycle.edge(status, chance.choice(sorted(ways))).target)
        assert status in lifecycle.statuses


def test_nothing_is_born_halfway() -> None:
    with pytest.raises(InvalidState):
        ALL["payment_intent"].birth("succeeded")
    assert ALL["payment_intent"].initial == "requires_payment_method"
    assert {name for name, lifecycle in ALL.items() if len(lifecycle.births) > 1} == {
        "payment_intent",
        "dispute",
        "order",
        "finalization",
        "connector",
        "subscription_period",
    }


class _Light(StrEnum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class _Press(StrEnum):
    ON = "on"
    GO = "go"


@pytest.mark.parametrize(
    ("edges", "why"),
    [
        ([], "nothing is ever born"),
        ([Edge(_Light.RED, _Press.GO, _Light.GREEN)], "nothing is ever born"),
        (
            [
                Edge(None, _Press.ON, _Light.RED),
                Edge(_Light.RED, _Press.GO, _Light.GREEN),
                Edge(_Light.RED, _Press.GO, _Light.BLUE),
            ],
            "two edges",
        ),
        ([Edge(None, _Press.ON, _Light.RED), Edge(_Light.BLUE, _Press.GO, _Light.GREEN)], "blue"),
        ([Edge(None, _Press.ON, _Light.RED), Edge(_Light.RED, _Press.GO, _Light.GREEN)], "blue"),
    ],
)
def test_a_bad_table_is_refused_when_it_is_made(edges: list[Edge[Any, Any]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Lifecycle("light", edges)


@pytest.mark.parametrize(
    ("status", "reason", "merchant", "hosted", "hosted_later"),
    [
        ("created", None, "pending", "open", "expired"),
        ("collecting", None, "pending", "open", "expired"),
        ("reserved", None, "pending", "open", "expired"),
        ("payment_processing", None, "pending", "open", "open"),
        ("completed", None, "completed", "complete", "complete"),
        ("failed", None, "failed", "open", "expired"),
        ("canceled", "expired", "expired", "expired", "expired"),
        ("canceled", "requested", "canceled", "expired", "expired"),
    ],
)
def test_other_surfaces_see_a_session_in_their_words(
    status: str, reason: str | None, merchant: str, hosted: str, hosted_later: str
) -> None:
    assert checkout_sessions.merchant_word(status, reason) == merchant
    assert checkout_sessions.hosted_word(status, lapsed=False) == hosted
    assert checkout_sessions.hosted_word(status, lapsed=True) == hosted_later


def test_statuses_that_may_hold_money_are_never_an_end() -> None:
    assert not {str(status) for status in intents.LIVE} & intents.LIFECYCLE.terminal


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_diagram_shows_every_edge(name: str) -> None:
    lifecycle = ALL[name]
    lines = mermaid.render(lifecycle).splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert len(lines) == len(set(lines)) == 1 + len(lifecycle.edges) + len(lifecycle.terminal)
    assert f"    [*] --> {lifecycle.initial}: {lifecycle.births[lifecycle.initial].trigger}" in lines


@pytest.mark.parametrize(
    ("ours", "theirs", "overdue", "walk"),
    [
        ("needs_response", "needs_response", False, ""),
        ("needs_response", "under_review", False, "evidence_submitted"),
        ("needs_response", "won", False, "evidence_submitted won"),
        ("needs_response", "lost", False, "accepted"),
        ("needs_response", "lost", True, "deadline_passed"),
        ("under_review", "needs_response", False, ""),
        ("under_review", "won", True, "won"),
        ("under_review", "lost", True, "lost"),
        ("warning", "needs_response", False, "escalated"),
        ("warning", "lost", True, "escalated deadline_passed"),
        ("warning", "won", False, "escalated evidence_submitted won"),
        ("warning", "closed", False, "closed"),
        ("won", "lost", False, ""),
        ("closed", "needs_response", False, ""),
    ],
)
def test_a_dispute_follows_its_gateway_forward_only(ours: str, theirs: str, overdue: bool, walk: str) -> None:
    triggers = disputes.path(ours, theirs, overdue=overdue)
    assert [str(trigger) for trigger in triggers] == walk.split()
    for trigger in triggers:
        ours = str(disputes.LIFECYCLE.edge(ours, trigger).target)
    assert not walk or ours == theirs
