"""What each failure of a call to Stripe proves: a decline, that nothing was executed, or nothing at all."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app import settings
from app.connectors import base
from app.connectors.stripe import api, transport
from tests.connectors.conftest import Caller, fresh_key

CREATE = "POST /v1/payment_intents"


def error(status: int, kind: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    """A fault that answers with an error object."""
    body = {"error": {"type": kind, "code": code, "message": "no", **more}}
    return {"status": status, "body": json.dumps(body).encode()}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A transport that waits a moment only, for this test."""
    monkeypatch.setattr(transport, "TOTAL_SECONDS", 0.3)
    _forget_clients()
    yield
    _forget_clients()


def _forget_clients() -> None:
    api._client.cache_clear()
    api._transport.cache_clear()


@pytest.mark.parametrize(
    "fault",
    [
        error(429, "invalid_request_error", "rate_limit"),
        error(401, "invalid_request_error"),
        error(403, "invalid_request_error"),
        error(400, "invalid_request_error", "amount_too_small"),
        error(400, "invalid_request_error", "amount_too_large"),
        error(400, "invalid_request_error", "invalid_currency"),
    ],
)
def test_what_stripe_did_not_begin_was_not_executed(stripe: Caller, fault: dict[str, Any]) -> None:
    stripe.standin.fail(CREATE, **fault)
    assert isinstance(stripe.authorize("pm_card_visa"), base.NotExecuted)
    assert stripe.standin.account("sk_test_of_ten_a").objects == {}


@pytest.mark.parametrize(
    "fault",
    [
        error(500, "api_error"),
        error(503, "api_error"),
        error(400, "idempotency_error"),
        error(409, "invalid_request_error", "something_else"),
        {"status": 200, "body": b'{"id": "pi_1", "obj'},
        {"status": 200, "body": b"[]"},
        {"status": 502, "body": b"<html>Bad gateway</html>"},
        {"status": 500, "body": b'{"error": "a string"}'},
        {"status": 302, "body": b"{}"},
        {"drop": "before"},
        {"drop": "after"},
    ],
)
def test_what_says_nothing_is_unknown(stripe: Caller, fault: dict[str, Any]) -> None:
    stripe.standin.fail(CREATE, **fault)
    assert isinstance(stripe.authorize("pm_card_visa"), base.Unknown)


@pytest.mark.parametrize("code", ["parameter_missing", "resource_missing", None])
def test_a_refused_request_is_a_decline(stripe: Caller, code: str | None) -> None:
    stripe.standin.fail(CREATE, **error(400, "invalid_request_error", code))
    assert stripe.authorize("pm_card_visa") == base.Declined("processing_error")


def refund(caller: Caller, reference: str) -> Any:
    return caller.refund(reference, 100)


@pytest.mark.parametrize("call", [Caller.capture, Caller.void, refund])
@pytest.mark.parametrize(
    ("fault", "known"),
    [
        (error(429, "invalid_request_error", "rate_limit"), base.NotExecuted),
        (error(500, "api_error"), base.Unknown),
        ({"drop": "before"}, base.Unknown),
        (error(400, "invalid_request_error", "amount_too_large"), base.Declined),
    ],
)
def test_operations_are_judged_alike(stripe: Caller, call: Any, fault: dict[str, Any], known: type) -> None:
    reference = stripe.authorize(stripe.card("pm_card_visa")).reference
    if call is refund:
        stripe.capture(reference)
    stripe.standin.fail("POST .*", **fault)
    assert isinstance(call(stripe, reference), known)
    stripe.standin.fail("GET .*", **fault)
    assert isinstance(call(stripe, reference), known)


@pytest.mark.parametrize(
    "fault", [error(500, "api_error"), error(401, "x"), error(429, "x"), {"drop": "before"}]
)
def test_a_look_up_that_failed_is_unknown(stripe: Caller, fault: dict[str, Any]) -> None:
    for find in (stripe.find, stripe.find_refund, lambda key: stripe.find(key, "pi_known")):
        stripe.standin.fail("GET .*", **fault)
        assert isinstance(find(fresh_key("authorize")), base.Unknown)


def test_a_reference_that_stripe_does_not_know_is_no_proof(stripe: Caller) -> None:
    """The key may lead to another account than the one that was charged."""
    assert isinstance(stripe.find(fresh_key("authorize"), "pi_of_another_account"), base.Unknown)


@pytest.mark.parametrize("code", ["idempotency_key_in_use", "lock_timeout"])
def test_what_is_busy_is_asked_again(stripe: Caller, code: str) -> None:
    status = 409 if code == "idempotency_key_in_use" else 429
    for _ in range(2):
        stripe.standin.fail(CREATE, **error(status, "invalid_request_error", code))
    assert isinstance(stripe.authorize("pm_card_visa"), base.Approved)
    assert len(stripe.standin.sent(CREATE)) == 3
    assert len({request.key for request in stripe.standin.sent(CREATE)}) == 1


def test_what_stays_busy_is_unknown(stripe: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "WAITS", (0.0, 0.0))
    for _ in range(3):
        stripe.standin.fail(CREATE, **error(409, "idempotency_error", "idempotency_key_in_use"))
    assert isinstance(stripe.authorize("pm_card_visa"), base.Unknown)


@pytest.mark.usefixtures("hasty")
def test_no_answer_in_time_is_unknown_and_found_later(stripe: Caller) -> None:
    key = fresh_key("authorize")
    stripe.standin.fail(CREATE, hang=True)
    assert isinstance(stripe.authorize(stripe.card("pm_card_visa"), key), base.Unknown)
    assert stripe.find(key).status == "authorized"
    assert len(stripe.standin.sent(CREATE)) == 1, "nothing is sent again by itself"


def test_a_capture_that_took_effect_although_stripe_broke_is_no_refusal(stripe: Caller) -> None:
    key = fresh_key("authorize")
    reference = stripe.authorize(stripe.card("pm_card_visa"), key).reference
    stripe.standin.fail("POST .*/capture", **error(500, "api_error"), kept=True)
    assert isinstance(stripe.capture(reference, key="capture_1"), base.Unknown)
    account = stripe.standin.account("sk_test_of_ten_a")
    account.capture(account.objects[reference], {})
    assert isinstance(stripe.capture(reference, key="capture_1"), base.Unknown)
    assert stripe.find(key, reference).captured == 1500


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("where", ["closed port", "no such name", "no TLS"])
def test_what_never_left_was_not_executed(stripe: Caller, where: str) -> None:
    address = {
        "closed port": f"http://127.0.0.1:{_closed_port()}",
        "no such name": "http://stripe.invalid",
        "no TLS": stripe.standin.url.replace("http:", "https:"),
    }[where]
    settings.use(settings.current().model_copy(update={"stripe_api_base": address}))
    assert isinstance(stripe.authorize("pm_card_visa"), base.NotExecuted)
    assert isinstance(stripe.capture("pi_1"), base.NotExecuted)
    assert isinstance(stripe.find(fresh_key("authorize")), base.Unknown)
    assert not stripe.connector.ping(stripe.context).ok
    assert stripe.standin.requests == []


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedStolenCard", "stolen_card"),
        ("pm_card_visa_chargeDeclinedDoNotHonor", "generic_decline"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
    ],
)
def test_declines_in_our_words(stripe: Caller, token: str, code: str) -> None:
    declined = stripe.authorize(token)
    assert isinstance(declined, base.Declined)
    assert declined.code == code
    assert declined.reference.startswith("pi_")


def test_the_acquirers_own_code_of_a_decline_is_kept(stripe: Caller) -> None:
    declined = stripe.authorize("pm_card_visa_chargeDeclinedInsufficientFunds")
    assert declined.facts.response_code == "51"


def test_a_key_of_the_other_mode_sends_nothing(stripe: Caller) -> None:
    live = base.ConnectorContext("ten_a", "live", "http://shop.test", stripe.context.credentials)
    caller = Caller(stripe.connector, live, stripe.standin)
    assert isinstance(caller.authorize("pm_card_visa"), base.NotExecuted)
    assert isinstance(caller.find(fresh_key("authorize")), base.Unknown)
    assert caller.connector.ping(live).refused
    assert stripe.standin.requests == []


def test_ping_tells_a_refused_key_from_no_answer(stripe: Caller) -> None:
    assert stripe.connector.ping(stripe.context).ok
    stripe.standin.refused_keys.add("sk_test_of_ten_a")
    assert stripe.connector.ping(stripe.context).refused
    stripe.standin.refused_keys.clear()
    stripe.standin.fail("GET /v1/balance", **error(500, "api_error"))
    found = stripe.connector.ping(stripe.context)
    assert (found.ok, found.refused) == (False, False)


def test_stripes_library_is_imported_by_the_first_call_only() -> None:
    """It costs memory that a deployment without Stripe should not pay (docs/adr/0009)."""
    program = "import sys, app.factory, app.worker.run; sys.exit('stripe' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
