"""How a merchant's own system is called: signed, in time, again where that helps, and left alone when it is down."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app import db, settings
from app.domain.errors import ProviderUnavailable
from app.kit import clock, signing
from app.providers.remote import caller
from app.providers.remote.caller import Call
from tests import databases
from tests.providers_apart import Systems

SECRET = "whsec_c2VjcmV0"


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path) -> None:
    databases.use(f"sqlite:///{tmp_path / 'none.db'}", tmp_path)


@pytest.fixture
def asked(systems: Systems) -> Call:
    systems._client.post("/_do", json={"secrets": {"tax": SECRET}})
    data = {"address": {"country": "DE"}, "currency": "EUR", "lines": []}
    body = {"merchant_id": "m", "mode": "test", "operation": "tax.rate", "data": data}
    return Call("ten_1", "test", "tax", systems.url("tax"), "rate", body, "key-1")


def problem(asked: Call, **how: float) -> str:
    with pytest.raises(ProviderUnavailable) as failed:
        caller.call(asked, [SECRET], **how)
    assert (failed.value.http_status, failed.value.code) == (503, "provider_unavailable")
    assert failed.value.explain is not None
    assert failed.value.explain["provider"] == "tax"
    return failed.value.problem


def test_a_call_is_signed_and_has_its_key(systems: Systems, asked: Call) -> None:
    assert caller.call(asked, [SECRET]) == {"name": "VAT DE", "percent": "20"}
    [seen] = systems.seen()
    headers, body = seen["headers"], seen["body"].encode()
    assert json.loads(body) == asked.body
    assert headers["idempotency-key"] == "key-1"
    assert signing.verify_timestamped(headers["till-signature"], body, [SECRET], clock.now())
    assert not signing.verify_timestamped(headers["till-signature"], body, ["another"], clock.now())


def test_while_a_secret_is_rolled_the_old_one_is_good_too(systems: Systems, asked: Call) -> None:
    assert caller.call(asked, ["a newer secret", SECRET])["name"] == "VAT DE"
    with pytest.raises(ProviderUnavailable) as failed:
        caller.call(asked, ["a newer secret"])
    assert failed.value.problem == "answered 401"


@pytest.mark.parametrize(
    ("how", "more", "said"),
    [
        ("slow", {}, "timed out"),
        ("drip", {}, "timed out"),
        ("drop", {}, "could not be reached"),
        ("status", {"status": 500}, "answered 500"),
        ("status", {"status": 429}, "answered 429"),
    ],
)
def test_what_may_pass_is_tried_again_under_the_same_key(
    systems: Systems, asked: Call, how: str, more: dict[str, int], said: str
) -> None:
    systems.misbehaves("tax.rate", how, times=2, **more)
    assert caller.call(asked, [SECRET])["percent"] == "20"
    assert [seen["headers"]["idempotency-key"] for seen in systems.seen()] == ["key-1"] * 3
    systems.misbehaves("tax.rate", how, **more)
    assert problem(asked) == said
    assert len(systems.seen()) == 6


def test_what_must_not_be_repeated_is_called_once(systems: Systems, asked: Call) -> None:
    systems.misbehaves("tax.rate", "drop", times=1)
    assert problem(replace(asked, retries=False)) == "could not be reached"
    assert len(systems.seen()) == 1


@pytest.mark.parametrize(
    ("how", "more", "said"),
    [
        ("status", {"status": 400}, "answered 400"),
        ("status", {"status": 302}, "answered 302"),
        ("text", {"text": '{"name": "VAT"'}, "answered something else than JSON"),
        ("text", {"text": '{"percent": NaN}'}, "answered something else than JSON"),
        ("text", {"text": '{"percent": 1, "percent": 2}'}, "answered something else than JSON"),
        ("text", {"text": "<html>"}, "answered something else than JSON"),
        ("text", {"text": "[1]"}, "answered something else than an object"),
        ("text", {"text": "[" * 60_000}, "answered something else than JSON"),
        ("text", {"text": ""}, "answered something else than JSON"),
        ("huge", {}, "answered too much"),
    ],
)
def test_a_wrong_answer_is_a_failure_and_is_not_asked_for_again(
    systems: Systems, asked: Call, how: str, more: dict[str, object], said: str
) -> None:
    systems.misbehaves("tax.rate", how, **more)
    assert problem(asked) == said
    assert len(systems.seen()) == 1


def test_all_tries_together_have_the_time_that_the_caller_has(systems: Systems, asked: Call) -> None:
    systems.misbehaves("tax.rate", "slow")
    assert problem(asked, within=0.1) == "timed out"
    assert len(systems.seen()) == 1


def test_nobody_waits_for_a_system_that_is_down_until_it_has_had_its_pause(
    systems: Systems, asked: Call
) -> None:
    once = replace(asked, retries=False)
    systems.misbehaves("tax.rate", "status", status=503)
    now = clock.now()
    with clock.frozen(now):
        for _ in range(5):
            assert problem(once) == "answered 503"
        assert problem(once) == "left alone after failures"
        assert len(systems.seen()) == 5
        others = (replace(once, tenant_id="ten_2"), replace(once, mode="live"))
        systems.behaves()
        for other in others:
            assert caller.call(other, [SECRET])
        assert problem(once) == "left alone after failures"
    with clock.frozen(now + timedelta(seconds=31)):
        systems.misbehaves("tax.rate", "status", times=1, status=503)
        assert problem(once) == "answered 503"
        assert problem(once) == "left alone after failures"
    with clock.frozen(now + timedelta(seconds=62)):
        assert caller.call(once, [SECRET])
        systems.misbehaves("tax.rate", "status", times=1, status=503)
        assert problem(once) == "answered 503"
        assert caller.call(once, [SECRET]), "one success has closed it"


def test_a_wrong_request_of_ours_does_not_open_the_breaker(systems: Systems, asked: Call) -> None:
    systems.misbehaves("tax.rate", "status", times=7, status=400)
    assert {problem(asked) for _ in range(7)} == {"answered 400"}
    assert caller.call(asked, [SECRET])


def test_an_address_inside_is_not_called(
    systems: Systems, asked: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = settings.current().model_copy(update={"allow_loopback_webhooks": False})
    monkeypatch.setattr(settings, "_current", inside)
    assert problem(asked) == "leads to an address that may not be called"
    for url in ("http://169.254.169.254/latest", "http://[::ffff:10.0.0.1]/", "http://user@example.com/"):
        assert problem(replace(asked, url=url)) == "leads to an address that may not be called"
    assert systems.seen() == []


def test_it_refuses_to_be_called_inside_a_transaction(database: str, systems: Systems, asked: Call) -> None:
    with pytest.raises(AssertionError, match="inside a transaction"), db.transaction():
        caller.call(asked, [SECRET])
    assert systems.seen() == []
