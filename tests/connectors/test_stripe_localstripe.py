"""The Stripe connector against localstripe, which nobody here has written."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from app import settings
from app.connectors import base, registry
from tests import databases
from tests.connectors import localstripe
from tests.connectors.conftest import Caller, context, fresh_key
from tests.connectors.localstripe import LocalStripe

SECRET = "whsec_of_localstripe"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStripe]:
    """One process for this file."""
    with localstripe.running(tmp_path_factory.mktemp("localstripe")) as found:
        assert found.call("POST", "/_config/webhooks/till", url=f"{found.url}/events", secret=SECRET) == 200
        yield found


@pytest.fixture
def caller(server: LocalStripe, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    folder = tmp_path_factory.mktemp("settings")
    plain = databases.settings_of(f"sqlite:///{folder / 'none.db'}", folder)
    settings.use(plain.model_copy(update={"stripe_api_base": server.url}))
    keys = {"secret_key": "sk_test_of_ten_a", "publishable_key": "pk_test_of_ten_a"}
    return Caller(registry.get("stripe"), context(credentials=keys))


@pytest.fixture
def key() -> str:
    return fresh_key("authorize")


def method(server: LocalStripe, number: str) -> str:
    """A payment method, as Stripe's frames in a browser make one."""
    card = {"number": number, "exp_month": "12", "exp_year": "2034", "cvc": "123"}
    fields = {f"card[{name}]": value for name, value in card.items()}
    assert server.call("POST", "/v1/payment_methods", type="card", **fields) == 200
    return str(json.loads(server.body)["id"])


def challenge(caller: Caller, server: LocalStripe, key: str, number: str, *, ok: bool) -> str:
    """A payment that goes through localstripe's 3-D Secure; its reference."""
    answer = caller.authorize(method(server, number), key)
    assert isinstance(answer, base.ActionRequired)
    assert caller.find(key, answer.reference).status == "action_required"
    secret = answer.action.challenge["client_secret"]
    path = f"/v1/payment_intents/{answer.reference}/_authenticate"
    server.call("POST", path, client_secret=secret, success=str(ok).lower())
    return answer.reference


def test_a_payment_through_its_life(caller: Caller, key: str) -> None:
    approved = caller.authorize("pm_card_visa", key)
    assert (approved.amount, approved.currency) == (1500, "GBP")
    assert caller.find(key).reference == approved.reference
    assert caller.find(key, approved.reference).status == "authorized"
    assert caller.capture(approved.reference).amount == 1500
    refund_key = fresh_key("refund")
    assert caller.refund(approved.reference, 400, refund_key).amount == 400
    assert caller.find_refund(refund_key, approved.reference).amount == 400
    found = caller.find(key, approved.reference)
    assert (found.status, found.captured, found.refunded) == ("captured", 1500, 400)


def test_a_payment_is_released(caller: Caller, key: str) -> None:
    reference = caller.authorize("pm_card_visa", key).reference
    assert isinstance(caller.void(reference), base.Approved)
    assert isinstance(caller.void(reference), base.Approved)
    assert isinstance(caller.refund(reference, 100), base.Declined)
    assert caller.find(key, reference).status == "voided"


def test_a_decline(caller: Caller, key: str) -> None:
    declined = caller.authorize("pm_card_chargeCustomerFail", key)
    assert isinstance(declined, base.Declined)
    assert declined.code == "generic_decline"
    assert caller.find(key).status == "declined"


def test_three_ds(caller: Caller, server: LocalStripe, key: str) -> None:
    reference = challenge(caller, server, key, "4000000000003220", ok=True)
    assert caller.find(key, reference).status == "authorized"
    assert caller.capture(reference).amount == 1500


@pytest.mark.parametrize(
    ("number", "ok", "code"),
    [("4000000000003220", False, "authentication_failed"), ("4000008400001629", True, "generic_decline")],
)
def test_three_ds_and_then_a_decline(
    caller: Caller, server: LocalStripe, key: str, number: str, ok: bool, code: str
) -> None:
    reference = challenge(caller, server, key, number, ok=ok)
    found = caller.find(key, reference)
    assert (found.status, found.decline_code) == ("declined", code)


def test_what_it_does_not_know(caller: Caller) -> None:
    assert isinstance(caller.capture("pi_nobody"), base.Declined)
    assert isinstance(caller.authorize("pm_nobody"), base.Declined)
    assert caller.connector.ping(caller.context).ok


def test_its_events_are_verified_and_read(caller: Caller, server: LocalStripe, key: str) -> None:
    reference = caller.authorize("pm_card_visa", key).reference
    caller.capture(reference)
    while True:  # other tests' payments are told of as well
        raw, headers = server.events.get(timeout=20)
        event = caller.connector.parse_webhook(raw, headers, ["whsec_old", SECRET])
        assert event is not None
        assert caller.connector.parse_webhook(raw + b" ", headers, [SECRET]) is None
        if event.attempt_key == key:
            break
    assert event.type == "payment_intent.succeeded"
    assert event.payload["object"]["id"] == reference
