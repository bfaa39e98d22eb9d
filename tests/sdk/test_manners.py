"""How the client behaves on the line: tries, pauses, time-outs, its own limits, connections, secrets."""

from __future__ import annotations

import json
import logging
import os
import pickle
import ssl
import threading
import traceback
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from payment_sdk import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    HTTPTransport,
    InvalidResponseError,
    PaymentClient,
    PaymentError,
    RateLimitError,
    RateLimits,
    ServerError,
    ServiceUnavailableError,
    Timeout,
    errors,
)
from payment_sdk._limiter import Window
from payment_sdk.transport import Answer, Request
from tests.sdk import flaky
from tests.sdk.conftest import Naps
from tests.sdk.flaky import CUT, DROP, HANG, NOISE, Line

KEY = "sk_test_this_is_the_secret"
GOOD = (
    200,
    {"X-Request-ID": "req_1"},
    b'{"id":"x","redirect_url":"u","qr_image_url":null,"status":"pending","expires_at":"2025-10-22T10:30:00Z"}',
)
SALE = {"amount": 10000, "currency": "USD", "reference": "order_123"}


@pytest.fixture
def line() -> Iterator[Line]:
    with flaky.line() as made:
        yield made


@pytest.fixture
def client(line: Line, naps: Naps) -> Iterator[PaymentClient]:
    with PaymentClient(KEY, "ten_1", line.url) as made:
        yield made


class Script:
    """A transport that answers as it is told, then always the last."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.sent = list(answers), []  # type: ignore[var-annotated]

    def send(self, request: Request) -> Answer:
        self.sent.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer[0], {name.lower(): value for name, value in answer[1].items()}, answer[2])

    def close(self) -> None:
        pass


def scripted(*answers: Any, **options: Any) -> tuple[PaymentClient, Script]:
    script = Script(*answers)
    return PaymentClient(KEY, transport=script, **options), script


def test_a_call_carries_credentials_tenant_and_key_and_nothing_more(
    client: PaymentClient, line: Line
) -> None:
    line.then(GOOD, (200, {}, b"[]"))
    client.checkout.create(**SALE)
    client.sessions.list(status="open")
    (method, path, sent), (_, listed, by_key) = line.seen
    assert (method, path) == ("POST", "/api/v1/checkout/sessions")
    assert sent["authorization"] == f"Bearer {KEY}" and sent["x-tenant"] == "ten_1"
    assert sent["content-type"] == "application/json" and sent["user-agent"].startswith("payment-sdk-python/")
    assert len(sent["idempotency-key"]) == 36
    assert listed == "/checkout-sessions?status=open&limit=20&offset=0"
    assert by_key["x-api-key"] == KEY and "authorization" not in by_key and "idempotency-key" not in by_key


def test_pauses_grow_and_differ_and_end(naps: Naps) -> None:
    client, script = scripted((503, {}, b""), max_retries=6)
    with pytest.raises(ServiceUnavailableError):
        client.payments.intents.get("pi_1")
    assert len(script.sent) == 7 and len(naps.taken) == 6
    for nap, most in zip(naps.taken, (0.5, 1, 2, 4, 8, 8), strict=True):
        assert most / 2 <= nap <= most
    client, _ = scripted((500, {}, b""), max_retries=1)
    firsts = set()
    for _ in range(20):
        naps.taken.clear()
        with pytest.raises(ServerError):
            client.payments.intents.get("pi_1")
        firsts.add(naps.taken[0])
    assert len(firsts) > 10, "by chance, so that many clients do not come back at once"


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"Retry-After": "42"}, b"", 42),
        ({}, b'{"error":"x","code":"RATE_LIMIT_EXCEEDED","retryAfter":37}', 37),
        ({"Retry-After": "soon"}, b"{}", 0.5),
        ({"Retry-After": "-5"}, b'{"retryAfter":true}', 0.5),
    ],
)
def test_it_waits_for_as_long_as_it_is_told(
    naps: Naps, headers: dict[str, str], body: bytes, wait: float
) -> None:
    client, _ = scripted((429, headers, body), GOOD)
    assert client.checkout.create(**SALE).id == "x"
    assert naps.taken[0] == pytest.approx(wait, rel=0.5 if wait < 1 else 0.01)


def test_a_date_is_understood_and_a_long_wait_is_left_to_the_caller(naps: Naps) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    client, _ = scripted((503, {"Retry-After": later}, b""), GOOD)
    client.checkout.create(**SALE)
    assert 25 < naps.taken[0] <= 30
    client, script = scripted((429, {"Retry-After": "600"}, b"{}"), GOOD)
    with pytest.raises(RateLimitError) as told:
        client.checkout.create(**SALE)
    assert told.value.retry_after == 600 and len(script.sent) == 1 and len(naps.taken) == 1
    client, script = scripted((429, {"Retry-After": "50"}, b"{}"))
    with pytest.raises(RateLimitError):
        client.payments.intents.get("pi_1")
    assert len(script.sent) == 2, "max_wait is for all pauses of a call together"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501, 302])
def test_what_will_not_change_is_asked_once(naps: Naps, status: int) -> None:
    client, script = scripted((status, {}, b'{"error":"no","code":"nope"}'))
    with pytest.raises(errors.APIError) as refused:
        client.checkout.create(**SALE)
    assert (refused.value.status, refused.value.code, len(script.sent)) == (status, "nope", 1)
    assert naps.taken == []


def test_a_key_that_is_being_worked_on_is_waited_for_on_every_face(naps: Naps) -> None:
    busy = [
        (409, b'{"error":"busy","code":"idempotency_in_progress","request_id":"req_9"}'),
        (400, b'{"error":"busy","code":"IDEMPOTENCY_IN_PROGRESS"}'),
        (400, b'{"statusCode":400,"message":"busy"}'),
    ]
    for status, body in busy:
        client, script = scripted((status, {"Retry-After": "1"}, body), GOOD)
        client.checkout.create(**SALE, idempotency_key="mine")
        assert [one.headers["Idempotency-Key"] for one in script.sent] == ["mine", "mine"]
    client, _ = scripted((400, {"Retry-After": "1"}, busy[1][1]), max_retries=0)
    with pytest.raises(errors.IdempotencyInProgressError):
        client.checkout.create(**SALE)


def test_connections_that_fail_say_whether_anything_was_sent(
    client: PaymentClient, line: Line, naps: Naps
) -> None:
    line.then(*[NOISE] * 4)
    with pytest.raises(APIConnectionError) as noise:
        client.checkout.create(**SALE)
    assert noise.value.sent
    line.then(*[CUT] * 4)
    with pytest.raises(APIConnectionError) as cut:
        client.checkout.create(**SALE)
    assert cut.value.sent, "half an answer is none"
    line.then(HANG)
    with pytest.raises(APITimeoutError) as slow:
        client.with_options(timeout=0.1, max_retries=0).checkout.create(**SALE)
    assert slow.value.sent
    nowhere = PaymentClient(KEY, base_url="http://127.0.0.1:9", max_retries=2)
    naps.taken.clear()
    with pytest.raises(APIConnectionError) as refused:
        nowhere.links.pay("promo")
    assert not refused.value.sent and len(naps.taken) == 2, "nothing was sent: that can be repeated"


def test_a_connection_is_kept_shared_and_renewed_when_it_was_closed(
    client: PaymentClient, line: Line, naps: Naps
) -> None:
    line.then(*[GOOD] * 6)
    for _ in range(6):
        client.checkout.create(**SALE)
    assert len(line.peers) == 1
    line.then((200, {}, b"{}"), DROP, GOOD)  # closed by the other end just as the next call goes out
    client.request("GET", "/a")
    assert client.checkout.create(**SALE).id == "x"
    assert naps.taken == [], "a connection that was idle and is gone is no failed try"
    client.close()
    line.then(GOOD)
    client.checkout.create(**SALE)


def test_a_write_that_cannot_be_repeated_gets_a_connection_of_its_own(
    client: PaymentClient, line: Line
) -> None:
    client.request("GET", "/a")
    with pytest.raises(InvalidResponseError):
        client.links.pay("promo")  # the line answers {}
    assert len(line.peers) == 2
    assert "idempotency-key" not in line.seen[-1][2]


def test_threads_do_not_share_a_connection_at_once(line: Line, naps: Naps) -> None:
    client = PaymentClient(KEY, base_url=line.url, rate_limits=None)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: client.request("GET", f"/{n}"), range(200)))
    assert answers == [{}] * 200 and len({path for _, path, _ in line.seen}) == 200
    assert len(line.peers) <= 16


def test_a_fork_leaves_the_parents_connections_alone(line: Line) -> None:
    transport = HTTPTransport()
    client = PaymentClient(KEY, base_url=line.url, transport=transport)
    client.request("GET", "/parent")
    transport._pid = os.getpid() + 1  # as a child sees it
    client.request("GET", "/child")
    assert len(line.peers) == 2


def test_windows_let_so_many_through_in_any_span(naps: Naps) -> None:
    window = Window(3, 60)
    assert [window.book(60) for _ in range(3)] == pytest.approx([0, 0, 0], abs=0.1)
    assert window.book(10) == pytest.approx(-60, abs=0.1), "too long: no place is taken"
    assert window.book(60) == pytest.approx(60, abs=0.1)
    naps.sleep(61)
    assert [window.book(0) for _ in range(2)] == pytest.approx([0, 0], abs=0.1)
    assert window.book(0) < -50, "the one that waited is in this span, too"
    window = Window(5, 1)
    window.close(20)
    assert window.book(60) == pytest.approx(20, abs=0.1)


def test_the_client_holds_itself_back_and_says_so(naps: Naps) -> None:
    client, script = scripted(GOOD, max_wait=5)
    for _ in range(10):
        client.checkout.create(**SALE)
    with pytest.raises(RateLimitError) as held:
        client.checkout.create(**SALE)
    assert not held.value.sent and 50 < (held.value.retry_after or 0) <= 60
    assert len(script.sent) == 10 and naps.taken == []
    client.with_options(max_wait=60).checkout.create(**SALE)
    assert len(script.sent) == 11 and naps.taken == [pytest.approx(60, abs=1)]

    client, script = scripted(
        (200, {}, b"{}"), rate_limits=RateLimits(reads_per_second=5, writes_per_second=0)
    )
    naps.taken.clear()
    for _ in range(12):
        client.request("GET", "/a")
    assert sum(naps.taken) == pytest.approx(2, abs=0.2), "five a second"
    for _ in range(50):
        client.request("POST", "/a")
    assert sum(naps.taken) == pytest.approx(2, abs=0.2)


def test_one_refusal_holds_back_all_threads_of_that_call_alone(naps: Naps) -> None:
    client, script = scripted((429, {"Retry-After": "40"}, b"{}"), GOOD, max_retries=0, max_wait=5)
    with pytest.raises(RateLimitError):
        client.checkout.create(**SALE)
    with pytest.raises(RateLimitError) as held:
        client.checkout.create(**SALE)
    assert not held.value.sent and len(script.sent) == 1
    assert client.request("GET", "/other")["id"] == "x"


def test_sixteen_threads_keep_to_one_limit(naps: Naps) -> None:
    client, script = scripted(GOOD, max_wait=0)
    outcomes: list[str] = []
    barrier = threading.Barrier(16)

    def work() -> None:
        barrier.wait()
        try:
            outcomes.append(client.checkout.create(**SALE).status)
        except RateLimitError:
            outcomes.append("held")

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] * 6 + ["pending"] * 10 and len(script.sent) == 10


def test_a_secret_is_in_nothing_that_is_printed_logged_or_pickled(
    client: PaymentClient, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "payment_sdk")
    token, mfa = "eyJ_a_token_of_somebody", "mfa_token_of_somebody"
    options = client.with_options(access_token=token, mfa_token=mfa)
    line.then(*[(500, {}, b'{"error":"sorry"}')] * 4)
    with pytest.raises(ServerError) as failed:
        options.checkout.create(amount=1, currency="USD", reference="a-private-reference")
    places = traceback.walk_tb(failed.value.__traceback__)
    frames = " ".join(
        repr(frame.f_locals) for frame, _ in places if "payment_sdk" in frame.f_code.co_filename
    )
    shown = [
        repr(options),
        repr(options._caller.settings),
        str(failed.value),
        repr(failed.value),
        caplog.text,
        frames,
    ]
    for secret in (KEY, token, mfa):
        assert all(secret not in text for text in shown)
    assert "a-private-reference" not in caplog.text and "POST /api/v1/checkout/sessions" in caplog.text
    assert repr(options).startswith("PaymentClient(api_key='sk_test_…'")
    assert len([record for record in caplog.records if record.levelno == logging.INFO]) == 3
    with pytest.raises(TypeError):
        pickle.dumps(options._caller.settings)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"api_key": ""},
        {"api_key": "sk_test_ä"},
        {"api_key": "sk_test_a\r\nX-Evil: 1"},
        {"api_key": KEY, "base_url": "pay.example.com"},
        {"api_key": KEY, "base_url": "https://user:pass@pay.example.com"},
        {"api_key": KEY, "base_url": "https://pay.example.com:port"},
        {"api_key": KEY, "base_url": "https://[pay.example.com"},
        {"api_key": KEY, "base_url": "https://pay.example.com/?a=1"},
        {"api_key": "sk_live_x", "base_url": "http://pay.example.com"},
        {"access_token": "eyJ", "base_url": "http://pay.example.com"},
        {"api_key": KEY, "timeout": 0},
        {"api_key": KEY, "timeout": Timeout(connect=-1)},
    ],
)
def test_a_client_that_cannot_work_is_not_made(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        PaymentClient(**options)
    assert "sk_" not in str(refused.value)


def test_live_keys_go_over_https_or_on_this_machine() -> None:
    for url in ("https://pay.example.com/", "http://127.0.0.1:8000", "http://localhost:8000"):
        assert PaymentClient("sk_live_x", base_url=url)
    assert PaymentClient("sk_live_x", base_url="http://till:8000", allow_insecure_http=True)
    assert PaymentClient(KEY, base_url="http://till:8000/base/")._caller.settings.base_url.endswith("/base")


def test_what_the_certificate_does_not_prove_gets_no_key(line: Line, tmp_path: Path, naps: Naps) -> None:
    ours, theirs = certificate(tmp_path, "localhost"), certificate(tmp_path, "pay.example.com")
    for files, good in ((ours, True), (theirs, False)):
        with flaky.line(certificate=files) as secure:
            url = secure.url.replace("http://127.0.0.1", "https://localhost")
            unknown = PaymentClient(KEY, base_url=url, max_retries=0)
            with pytest.raises(APIConnectionError, match="CERTIFICATE_VERIFY_FAILED") as refused:
                unknown.request("GET", "/a")
            assert not refused.value.sent
            trusting = HTTPTransport(ssl_context=ssl.create_default_context(cafile=str(files[0])))
            client = PaymentClient(KEY, base_url=url, max_retries=0, transport=trusting)
            if good:
                assert [client.request("GET", "/a"), client.request("GET", "/b")] == [{}, {}]
                assert len(secure.peers) == 1
            else:
                with pytest.raises(APIConnectionError, match="not valid for 'localhost'"):
                    client.request("GET", "/a")
                assert secure.seen == []


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a name, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files[1].write_bytes(key.private_bytes(*private))
    return files


def test_a_proxy_of_the_environment_is_gone_through_but_not_to_this_machine(
    line: Line, naps: Naps, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = line.url.replace("http://", "http://user:pa%20ss@")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("no_proxy", "direct.test")
    inside = PaymentClient(KEY, base_url="http://till.test/api-root", max_retries=0)
    assert inside.request("GET", "/a") == {}
    method, path, sent = line.seen[0]
    assert (method, path, sent["host"]) == ("GET", "http://till.test/api-root/a", "till.test")
    assert sent["proxy-authorization"] == "Basic " + b64encode(b"user:pa ss").decode()
    outside = PaymentClient(KEY, base_url="https://till.test", max_retries=0)
    with pytest.raises(APIConnectionError, match="Tunnel connection failed: 501") as refused:
        outside.request("POST", "/a")
    assert not refused.value.sent, "the proxy gets no key"
    assert PaymentClient(KEY, base_url=line.url).request("GET", "/b") == {}
    assert line.seen[-1][1] == "/b" and len(line.seen) == 2


@pytest.mark.parametrize("bad", ["", " ", "..", ".", None, 5])
def test_an_id_that_is_none_leads_nowhere(client: PaymentClient, line: Line, bad: Any) -> None:
    for call in (client.checkout.get, client.payments.intents.get, client.keys.revoke, client.sessions.get):
        with pytest.raises(ConfigurationError, match="not an id"):
            call(bad)
    assert line.seen == []


def test_ids_and_header_values_stay_in_their_place(client: PaymentClient, line: Line) -> None:
    with pytest.raises(PaymentError):
        client.checkout.get("../../v1/payments?x=1#y")
    assert line.seen[0][1] == "/api/v1/checkout/sessions/..%2F..%2Fv1%2Fpayments%3Fx%3D1%23y"
    client.request("GET", "/a?b=1", query={"c": "d e", "f": None, "g": True})
    assert line.seen.pop()[1] == "/a?b=1&c=d+e&g=true"
    for path in ("v1/payments", "https://evil.example/", "/a b", "/a\r\nX-Evil: 1", "/ä"):
        with pytest.raises(ConfigurationError, match="path"):
            client.request("GET", path)
    with pytest.raises(ConfigurationError, match="Idempotency-Key"):
        client.checkout.create(**SALE, idempotency_key="a\r\nX-Evil: 1")
    for odd in (float("nan"), {1, 2}, object()):
        with pytest.raises(ConfigurationError, match="JSON"):
            client.payments.intents.create(amount=1, currency="GBP", metadata={"odd": odd})
    with pytest.raises(ConfigurationError, match="time zone"):
        client.checkout.carts.update("chk_1", expires_at=datetime(2026, 1, 1))
    assert len(line.seen) == 1


def test_an_error_travels_between_processes_whole(naps: Naps) -> None:
    client, _ = scripted((422, {}, b'{"error":"no","code":"x","request_id":"req_7","explain":{"a":1}}'))
    with pytest.raises(errors.UnprocessableError) as refused:
        client.checkout.create(**SALE)
    again = pickle.loads(pickle.dumps(refused.value))
    assert (type(again), str(again)) == (errors.UnprocessableError, str(refused.value))
    assert (again.status, again.request_id, again.explain) == (422, "req_7", {"a": 1})
    lost = pickle.loads(pickle.dumps(APITimeoutError("late", sent=True)))
    assert (str(lost), lost.sent) == ("late", True)


def test_answers_that_are_none_are_told(naps: Naps) -> None:
    whole = json.loads(GOOD[2])
    for body in (b"<html>", b"[]", b"{}", b'"x"', json.dumps({**whole, "status": 5}).encode(),
                 json.dumps({**whole, "expires_at": "yesterday"}).encode()):  # fmt: skip
        client, script = scripted((201, {}, body))
        with pytest.raises(InvalidResponseError):
            client.checkout.create(**SALE)
        assert len(script.sent) == 1, "it was done: nobody does it again"
    client, _ = scripted((201, {}, json.dumps({**whole, "new_field": [1]}).encode()))
    assert client.checkout.create(**SALE).id == "x", "what is new is passed over"
    client, _ = scripted((502, {}, b"<html>Bad gateway</html>"), max_retries=0)
    with pytest.raises(ServerError, match="answered 502"):
        client.checkout.create(**SALE)
