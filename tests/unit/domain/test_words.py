"""Errors, permissions, events and the times of retries: the words and figures of the contracts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import errors
from app.domain.actor import Actor, ActorKind, Mode, TenantProfile, system_actor
from app.domain.event_types import PUBLISHED, EventType
from app.domain.lifecycles.registry import ALL
from app.domain.permissions import ROLES, SCOPES, of_role
from app.domain.rules import retry

SHOP = TenantProfile("ten_1", "shop", "Shop", "GBP")


def family(kind: type[errors.DomainError]) -> list[type[errors.DomainError]]:
    own = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [kind, *(found for child in own for found in family(child))]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^ {4}[│ ├└─]*(\w+) +(\d{3})", errors.__doc__ or "", re.MULTILINE)
    assert {(kind.__name__, str(kind.http_status)) for kind in family(errors.DomainError)} == set(drawn)


def test_an_error_carries_a_code_of_its_own() -> None:
    kinds = family(errors.DomainError)
    assert len({kind.default_code for kind in kinds}) == len(kinds)
    told = errors.Unprocessable("Sold out", code="sold_out", explain={"sku": "TEA"}, field="lines")
    assert (told.code, told.message, told.explain, told.field) == (
        "sold_out",
        "Sold out",
        {"sku": "TEA"},
        "lines",
    )
    assert (errors.RateLimited(7).retry_after, errors.IdempotencyInProgress(3).retry_after) == (7, 3)


def actor(*permissions: str) -> Actor:
    return Actor(ActorKind.API_KEY, "key_1", SHOP, Mode.TEST, frozenset(permissions))


@pytest.mark.parametrize(
    ("held", "wanted", "may"),
    [
        (("*",), "api_keys.manage", True),
        (("refunds:*",), "refunds:create", True),
        (("refunds:*",), "intents:read", False),
        (("refunds:create",), "refunds:create", True),
        (("refunds:write",), "refunds:create", False),
        ((), "refunds:create", False),
        (("refunds",), "refunds:create", False),
        (("re*",), "refunds:create", False),
    ],
)
def test_a_permission_is_held_or_it_is_not(held: tuple[str, ...], wanted: str, may: bool) -> None:
    assert actor(*held).can(wanted) is may


def test_roles_bundle_what_op_09_says() -> None:
    assert set(ROLES) == {"payments_admin", "admin", "reconciler", "read_only"}
    assert of_role("payments_admin") == of_role("admin") == {"*"}
    assert {"settlements:write", "payouts:read", "reconciliations:write", "exports:write"} <= of_role(
        "reconciler"
    )
    assert "payouts:write" not in of_role("reconciler")
    assert all(word.endswith(":read") for word in of_role("read_only"))
    assert not of_role("read_only") & {"connectors:read", "audit:read", "api_keys.manage", "keys:read"}
    assert of_role("owner of everything") == frozenset()
    assert {"intents:read", "methods:attach", "refunds:create"} <= SCOPES


def test_till_itself_may_do_everything_in_one_mode() -> None:
    till = system_actor(SHOP, "live")
    assert till.can("anything.at.all")
    assert (till.mode, till.tenant_id, till.asking("req_1").request_id) == (Mode.LIVE, "ten_1", "req_1")
    with pytest.raises(ValueError):
        system_actor(SHOP, "both")


def test_merchants_can_subscribe_to_the_catalogue_of_op_17_and_to_how_the_rest_goes() -> None:
    assert {str(name) for name in PUBLISHED} == {
        "checkout.created",
        "checkout.completed",
        "checkout.failed",
        "checkout.session.completed",
        "checkout.session.expired",
        "payment.succeeded",
        "payment.failed",
        "refund.succeeded",
        "dispute.created",
        "checkout.canceled",
        "checkout.rollback_failed",
        "refund.failed",
        "dispute.needs_response",
        "dispute.under_review",
        "dispute.won",
        "dispute.lost",
        "dispute.closed",
        "order.created",
        "order.paid",
        "order.shipped",
        "order.delivered",
        "order.cancelled",
        "subscription.created",
        "subscription.renewed",
        "subscription.past_due",
        "subscription.canceled",
        "webhook_endpoint.disabled",
    }


def test_the_tables_name_events_that_exist() -> None:
    known = set(EventType)
    for lifecycle in ALL.values():
        assert {edge.event for edge in lifecycle.edges if edge.event} <= known
        for edge in lifecycle.edges:
            implied = f"{lifecycle.name}.{edge.target}"
            assert edge.event or implied not in PUBLISHED, "what merchants can hear of is named in the table"


def test_deliveries_are_tried_ten_times_over_three_days() -> None:
    waits = [retry.delivery_delay(tries, jitter=0) for tries in range(11)]
    assert waits == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None]
    assert sum(wait or 0 for wait in waits) >= 3 * 86400


@given(st.integers(0, 9))
def test_jitter_makes_a_wait_a_tenth_longer_at_most(tries: int) -> None:
    wait = retry.delivery_delay(tries)
    assert wait is not None
    assert retry.DELIVERY_DELAYS[tries] <= wait <= retry.DELIVERY_DELAYS[tries] * 1.1


def test_an_unknown_outcome_is_asked_for_seven_times() -> None:
    assert [retry.query_delay(asked) for asked in range(8)] == [15, 60, 300, 900, 3600, 21600, 86400, None]


def test_failed_jobs_wait_longer_each_time() -> None:
    assert [retry.job_delay(tries) for tries in range(1, 7)] == [1, 4, 16, 64, 256, 300]
    assert retry.job_delay(0) == 1
    assert retry.job_delay(10_000) == 300
