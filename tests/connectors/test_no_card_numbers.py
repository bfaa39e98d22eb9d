"""No card number reaches the database: not a listed one, not a refused one, in no table and no file."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from sqlalchemy import MetaData, select

from app import db, settings
from app.connectors import base
from app.connectors.sandbox.cards import CARDS
from app.domain.errors import DomainError
from app.factory import create_app
from app.kit import clock
from app.services.access import keys
from app.services.payments import gateway, vault
from app.web import errors, headers
from tests.connectors.conftest import Caller
from tests.shops import Shop

#: Real networks' shapes that are no test cards; the last one fails Luhn.
REFUSED = ["4111111111111111", "5105105105105100", "6011111111111117", "4242424242424241"]
NUMBERS = [*{card.number for card in CARDS}, *REFUSED]
SECURITY_CODE = "8317"


def everything_stored() -> str:
    """Each value of each table, as text."""
    tables = MetaData()
    tables.reflect(db.engine())
    assert "sandbox_tokens" in tables.tables
    with db.reading() as session:
        rows = [row for table in tables.sorted_tables for row in session.execute(select(table))]
    return "\n".join(str(tuple(row)) for row in rows)


def assert_nowhere(folder: Path) -> None:
    """No number in a table, nor in any file of the database (free pages and the WAL with them)."""
    stored = everything_stored()
    files = [path for path in folder.rglob("*") if path.is_file()]
    raw = b"".join(path.read_bytes() for path in files)
    for number in NUMBERS:
        spaced = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
        for form in (number, spaced):
            assert form not in stored, f"…{number[-4:]} is in a table"
            assert form.encode() not in raw, f"…{number[-4:]} is in a file"


def test_the_scan_finds_what_is_there(sandbox: Caller, tmp_path: Path) -> None:
    """The proof of the proof: a number that is put into the database is found."""
    number = CARDS[0].number
    sandbox.authorize(sandbox.card(number), "authorize_" + number)
    with pytest.raises(AssertionError, match="4242 is in a"):
        assert_nowhere(tmp_path)


def test_the_sandbox_keeps_none(sandbox: Caller, tmp_path: Path) -> None:
    for number in NUMBERS:
        try:
            token = sandbox.card(number)
        except base.TokenRefused:
            continue
        answer = sandbox.authorize(token)
        if isinstance(answer, base.Approved):
            sandbox.capture(answer.reference)
            sandbox.refund(answer.reference, 100)
    assert "4242" in everything_stored()
    assert_nowhere(tmp_path)


def test_a_shop_keeps_none_and_logs_none(
    shop: Shop, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    told = []
    for turn, number in enumerate([CARDS[0].number, "4000000000009995", "4000009990000021", *REFUSED]):
        try:
            shop.pay(shop.session(), number, f"nonce-{turn}")
        except DomainError as refused:
            told.append(f"{refused} {refused.explain}")
    assert len(told) == len(REFUSED)
    assert_nowhere(tmp_path)
    shown = "".join([*told, *capfd.readouterr(), caplog.text])
    assert all(number not in shown for number in NUMBERS)


def test_details_never_show_themselves() -> None:
    details = base.CardDetails(CARDS[0].number, 12, 2030, SECURITY_CODE)
    for text in (repr(details), str(details), f"{details}", repr([details]), repr({"card": details})):
        assert CARDS[0].number not in text
        assert SECURITY_CODE not in text


METHODS, TOKENS = "/v1/payments/methods", "/v1/payments/tokens"


@dataclass
class Loud:
    """The app, and every log line that it writes."""

    client: FlaskClient
    lines: io.StringIO


@pytest.fixture
def loud(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Loud:
    """The app with its log turned up, written where the test can read it."""
    changes = {"api_reads_per_second": 0, "api_writes_per_second": 0, "log_level": "DEBUG"}
    app, lines = create_app(settings.current().model_copy(update=changes)), io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines))
    for module in (headers, errors, gateway, vault):
        monkeypatch.setattr(module, "log", structlog.get_logger("tests"))
    return Loud(app.test_client(), lines)


def flows(number: str) -> Iterator[tuple[str, str, Any]]:
    """A card through the vault, and its number in each place where somebody may put it."""
    card = {"number": number, "exp_month": 12, "exp_year": clock.now().year + 2, "cvc": "123"}
    spaced = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
    yield "POST", TOKENS, {"type": "card", "card": card}
    yield "POST", TOKENS, {"type": "card", "card": {**card, "number": spaced}}
    yield "POST", TOKENS, {"type": "card", "card": {**card, "cvc": number}}
    yield "POST", TOKENS, {"type": "card", "card": {**card, "name": number}}
    yield "POST", TOKENS, {"type": "card", "card": {**card, number: 1}}
    yield "POST", TOKENS, {"type": "card", "card": number}
    yield "POST", TOKENS, {"type": number, "card": card}
    yield (
        "POST",
        TOKENS,
        {"type": "bank_account", "bank_account": {"routing_number": "110000000", "account_number": number}},
    )
    yield "POST", TOKENS, {"type": "sepa_debit", "sepa_debit": {"iban": number}}
    yield "POST", METHODS, {"payment_method": {"card": card}, "customer_id": "cust_1", "consent": True}
    yield "POST", METHODS, {"token": number}
    yield "POST", METHODS, {"payment_method": {"token": spaced}}
    for extra in (
        {"metadata": {"nickname": f"my {spaced}"}},
        {"metadata": {"n": int(number)}},
        {"metadata": {"a": [{"b": number}]}},
        {"metadata": {number: "x"}},
        {"customer_id": number},
        {number: "x"},
    ):
        yield "POST", METHODS, {"payment_method": {"card": card}, **extra}
    yield "POST", f"{METHODS}/attach", {"payment_method_id": "pm_x", "customer_id": spaced, "consent": True}
    yield "POST", f"{METHODS}/verify", {"payment_method_id": number, "type": "micro_deposit"}
    yield "PATCH", f"{METHODS}/pm_x", {"nickname": number}
    yield "GET", f"{METHODS}?customer_id={number}", None
    yield "GET", f"{METHODS}?{number}=1", None
    yield "GET", f"{METHODS}/{number}", None
    yield "DELETE", f"{METHODS}/{number}", None
    yield "GET", f"/v1/payments/payment-methods/3ds/lookup?payment_method_id={number}", None
    yield "POST", "/v1/payments/refunds", {"payment_intent_id": "pi_x", "metadata": {"note": number}}
    yield "POST", f"/v1/payments/intents/{number}/confirm", {}
    yield from outside_payments(number, spaced)


def outside_payments(number: str, spaced: str) -> Iterator[tuple[str, str, Any]]:
    """The same on the surfaces that have no vault."""
    line = {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1500}
    cart = {"currency": "GBP", "lines": [line]}
    for extra in (
        {"metadata": {"note": spaced}},
        {"metadata": {"note": int(number)}},
        {"customer": {"name": number}},
        {"owner": {"type": "user", "id": number}},
        {"cart_id": number},
    ):
        yield "POST", "/v1/checkout/sessions", {"cart_snapshot": cart, **extra}
    named = {"currency": "GBP", "lines": [{**line, "name": f"Mug {spaced}"}]}
    yield "POST", "/v1/checkout/sessions", {"cart_snapshot": named}
    yield "PATCH", "/v1/checkout/sessions/chk_x", {"metadata": {"note": number}}
    yield "POST", "/v1/checkout/payment-intents/pi_x/refund", {"reason": f"card {spaced}"}
    yield "POST", f"/v1/checkout/payment-intents/{number}/confirm", {}
    yield "POST", "/v1/checkout/webhooks", {"url": f"https://shop.test/{number}", "events": ["*"]}
    yield "POST", "/api/v1/checkout/sessions", {"amount": 100, "currency": "GBP", "reference": number}
    yield "POST", "/checkout-sessions", {"title": spaced, "amount": 15, "customer_email": "a@shop.test"}
    yield "POST", "/v1/auth/token", {"grant_type": "client_credentials", "client_secret": number}


def test_the_surface_keeps_none_logs_none_and_says_none(
    loud: Loud, shop: Shop, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publishable = keys.create(shop.actor, "front", kind="pk")[1]
    said, made = [], 0
    tried = [CARDS[0].number, "4000000000003220", "378282246310005", *REFUSED[:3]]
    for number in tried:
        for turn, (method, path, body) in enumerate(flows(number)):
            secret = publishable if path == TOKENS and turn == 0 else shop.secret
            extra = {"X-Request-ID": number} if turn % 2 else {}
            answer = loud.client.open(
                path,
                method=method,
                json=body,
                headers={
                    "Authorization": f"Bearer {secret}",
                    "x-api-key": secret,
                    "Idempotency-Key": f"key-{turn}-{number[-4:]}",
                    **extra,
                },
            )
            said.append(f"{answer.headers} {answer.text}")
            made += answer.status_code == 201
            assert answer.status_code < 500
        said.append(in_the_headers_and_broken_bodies(loud.client, shop, number))
    assert made == 3 * 3, "each published number made two tokens and a method, and no other made anything"
    logged = loud.lines.getvalue()
    assert "/v1/payments/methods/attach" in logged, "the log was listened to"
    shown = "".join([*said, logged, *capfd.readouterr()])
    for number in tried:
        spaced = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
        assert number not in shown
        assert spaced not in shown
    assert_nowhere(tmp_path)


def test_the_hosted_page_takes_a_number_in_its_own_field_alone(
    client: FlaskClient, shop: Shop, tmp_path: Path
) -> None:
    """A browser's autofill, or a hurried shopper, puts it somewhere else."""
    session = shop.session(options={"require_billing_address": True})
    number = "4111 1111 1111 1111"
    address = {"name": "Sam Shopper", "line1": "1 High Street", "city": "London", "postal_code": "N1 1AA"}
    billing = {f"bill_{name}": text for name, text in {**address, "country": "GB"}.items()}
    good = {"card_number": "4242 4242 4242 4242", "exp_month": "12", "exp_year": "34", "cvc": "123"}
    text = client.get(f"/pay/{session.hosted_id}").text
    token = dict(re.findall(r'name="(csrf_token)"[^>]*value="([^"]+)', text))
    wrong = {"email": f"{number.replace(' ', '')}@shop.test", "card_name": number}
    tries = [("card", {**good, name: value}) for name, value in wrong.items()]
    tries += [("billing", {**billing, f"bill_{name}": number}) for name in address]
    for form, data in tries:
        answer = client.post(f"/pay/{session.hosted_id}/{form}", data={**token, **data})
        assert answer.status_code == 422, data
        assert "Take the card number out of here" in answer.text
        assert number not in answer.text and number.replace(" ", "") not in answer.text
    assert shop.read(session).payment_intent_id is None
    assert_nowhere(tmp_path)
    assert client.post(f"/pay/{session.hosted_id}/billing", data={**token, **billing}).status_code == 303
    assert client.post(f"/pay/{session.hosted_id}/card", data={**token, **good}).status_code == 303
    assert shop.read(session).status == "completed"
    assert shop.read(session).billing_address["line1"] == "1 High Street"


def test_a_vault_that_breaks_and_quotes_the_number_is_not_quoted(
    loud: Loud, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = CARDS[0].number

    def broken(*_: Any) -> None:
        raise ValueError(f"bad card {number}")

    for place in ("vault.keep_card", "client_tokens.redeem"):
        monkeypatch.setattr(f"app.connectors.sandbox.{place}", broken)
    details = {"number": number, "exp_month": 12, "exp_year": clock.now().year + 2}
    said = []
    for path, body in (
        (TOKENS, {"type": "card", "card": details}),
        (METHODS, {"payment_method": {"card": details}}),
        (METHODS, {"token": "tok_x"}),
    ):
        answer = loud.client.post(path, json=body, headers=shop.bearer)
        assert answer.status_code == 503
        said.append(answer.text)
    logged = loud.lines.getvalue()
    assert logged.count("vault_call_broke") == 3
    assert number not in logged + "".join(said)


def in_the_headers_and_broken_bodies(client: FlaskClient, shop: Shop, number: str) -> str:
    """What is said to a number in an idempotency key, and in a body that is no JSON."""
    bearer = shop.bearer
    refused = client.post(METHODS, json={"token": "tok_x"}, headers={**bearer, "Idempotency-Key": number})
    assert (refused.status_code, refused.json["code"]) == (422, "card_number_refused")
    broken = f'{{"{number}": NaN, "token": "{number}"'
    kind = {"Content-Type": "application/json"}
    answers = [
        client.post(METHODS, data=broken, headers={**bearer, **kind}),
        client.post(METHODS, data=broken + "}", headers={**bearer, **kind}),
    ]
    assert {answer.status_code for answer in answers} == {400}
    return "".join(answer.text for answer in answers)
