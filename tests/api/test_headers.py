"""What every answer carries, what is logged, and what is never said (security.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app import db, settings
from app.factory import create_app
from app.web import headers, logs
from tests.shops import Shop

SAME_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=(self)",
}


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Loggers write to a test's own standard error; the next one gets a stream that is open."""
    yield
    logs.configure("CRITICAL")


def test_every_answer_has_the_security_headers(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    for url in (f"/pay/{session.hosted_id}", "/v1/checkout/nothing", "/healthz", "/nothing", "/docs"):
        answer = client.get(url, headers=shop.bearer)
        assert SAME_EVERYWHERE.items() <= dict(answer.headers).items(), url
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in answer.headers, "no https in development"


def test_the_api_may_load_nothing_and_pages_only_their_own(client: FlaskClient, shop: Shop) -> None:
    api = client.get("/v1/checkout/sessions/chk_1", headers=shop.bearer)
    assert api.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    page = client.get(f"/pay/{shop.session().hosted_id}").headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in page.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["form-action"] == "'self'"
    assert "unsafe" not in page


def test_a_request_id_is_taken_over_when_it_is_one(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "req-12345678"}).headers["X-Request-ID"] == (
        "req-12345678"
    )
    for bad in ("short", "x" * 65, "has space1", "<script>alert(1)</script>", "ünicode-id"):
        given = client.get("/healthz", headers={"X-Request-ID": bad}).headers["X-Request-ID"]
        assert given.startswith("req_")


def _production(**changes: Any) -> Flask:
    base = {
        "env": "production",
        "trusted_hosts": ["pay.example.com"],
        "log_level": "CRITICAL",
        "ephemeral": False,
        **changes,
    }
    return create_app(settings.current().model_copy(update=base))


def test_production_wants_https_and_its_own_name(database: str) -> None:
    client = _production().test_client()
    good = client.get("/healthz", base_url="https://pay.example.com")
    assert good.status_code == 200
    assert good.headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"
    for path in ("/healthz", "/v1/checkout/nothing"):
        bad = client.get(path, base_url="https://evil.example.net")
        assert bad.status_code == 400, path
        assert b"evil.example.net" not in bad.data


def test_cookies_of_production_are_host_bound(database: str) -> None:
    app = _production()
    page = app.test_client().get("/dashboard/sign-in", base_url="https://pay.example.com")
    assert page.status_code == 200
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-till=")
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in cookie


def test_the_sandbox_bank_is_not_in_production(database: str) -> None:
    client = _production().test_client()
    assert client.get("/sandbox/acs/x", base_url="https://pay.example.com").status_code == 404


def _logging(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Flask:
    """The app with a logger that writes to this test's standard error."""
    app = create_app(settings.current().model_copy(update={"log_level": "INFO", **changes}))
    monkeypatch.setattr(headers, "log", structlog.get_logger())
    return app


def test_a_trusted_proxy_tells_the_address(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = _logging(monkeypatch, trusted_proxies=1)
    app.test_client().get("/docs", headers={"X-Forwarded-For": "1.2.3.4, 203.0.113.77"})
    assert '"address": "203.0.113.0"' in capsys.readouterr().err


def test_a_bank_may_post_the_shopper_back(app: Flask, shop: Shop) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    client = app.test_client()
    assert client.post("/return/unknown", headers={"Origin": "https://bank.test"}).status_code == 404
    session = shop.session()
    forged = client.post(f"/pay/{session.hosted_id}/card", data={"card_number": "4242424242424242"})
    assert forged.status_code == 400, "our own forms want their token"
    assert shop.read(session).status == "created"


def test_what_we_did_not_expect_is_said_without_its_insides(
    app: Flask, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("app.services.checkout.sessions.get", broken)
    client = app.test_client()
    answer = client.get("/v1/checkout/sessions/chk_1", headers=shop.bearer)
    assert answer.status_code == 500
    assert answer.json is not None
    assert answer.json["code"] == "internal_error"
    assert b"hunter2" not in answer.data
    monkeypatch.setattr("app.services.checkout.hosted.find", broken)
    page = client.get("/pay/hst_1")
    assert (page.status_code, page.mimetype) == (500, "text/html")
    assert b"hunter2" not in page.data


def test_a_database_that_is_gone_is_503(app: Flask, shop: Shop, tmp_path: Path) -> None:
    client = app.test_client()
    db.configure(f"sqlite:///{tmp_path / 'nowhere' / 'till.db'}")
    health = client.get("/healthz")
    assert (health.status_code, health.json) == (503, {"status": "down"})
    answer = client.get("/v1/checkout/sessions/chk_1", headers=shop.bearer)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.json is not None
    assert answer.json["code"] == "service_unavailable"


def test_the_log_says_who_asked_what_and_no_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = _logging(monkeypatch)
    secret = "4242 4242 4242 4242"
    app.test_client().post(
        f"/v1/checkout/sessions?note={secret}",
        json={"metadata": {"card": secret}},
        headers={**shop.bearer, "Idempotency-Key": secret},
        environ_overrides={"REMOTE_ADDR": "203.0.113.77"},
    )
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert set(line) <= logs.FIELDS
    assert line["route"] == "/v1/checkout/sessions"
    assert line["tenant_id"] == shop.actor.tenant_id
    assert line["address"] == "203.0.113.0"
    written = json.dumps(lines)
    for private in (secret, shop.secret, "203.0.113.77"):
        assert private not in written


def test_fields_that_are_not_allowed_are_dropped() -> None:
    kept = logs._allowed(None, "info", {"event": "x", "password": "hunter2", "card_number": "4242"})
    assert kept == {"event": "x"}


def test_a_logged_failure_quotes_no_row(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    statement = text("INSERT INTO tenants (id, name) VALUES ('ten_1', 'hunter2')")
    try:
        with db.transaction() as session:
            session.execute(statement)
    except DBAPIError:
        structlog.get_logger().exception("unexpected_error")
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert "IntegrityError" in line["exception"]
    assert "Failing row" not in line["exception"]


def test_statements_in_errors_show_no_values(database: str, shop: Shop) -> None:
    with pytest.raises(DBAPIError) as caught, db.reading() as session:
        session.execute(text("SELECT * FROM nowhere WHERE secret = :secret"), {"secret": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("whole", "cut"),
    [("203.0.113.77", "203.0.113.0"), ("2001:db8::7", "2001:db8::0"), ("", ""), ("unknown", "0")],
)
def test_addresses_lose_their_end(whole: str, cut: str) -> None:
    assert headers.cut_address(whole) == cut


def test_production_names_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TILL_SECRET_KEY", "TILL_ENCRYPTION_KEYS", "DATABASE_URL", "TILL_TRUSTED_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TILL_ENV", "production")
    with pytest.raises(settings.SettingsError) as caught:
        settings.load()
    for name in ("TILL_SECRET_KEY", "TILL_ENCRYPTION_KEYS", "DATABASE_URL", "TILL_TRUSTED_HOSTS"):
        assert name in str(caught.value)


GOOD_KEY = "k1:" + "A" * 43 + "="


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"failpoint": "started"}, "TILL_FAILPOINT"),
        ({"secret_key": "short"}, "TILL_SECRET_KEY"),
        ({"encryption_keys": "k1"}, "TILL_ENCRYPTION_KEYS"),
        ({"encryption_keys": "k1:AAAA"}, "TILL_ENCRYPTION_KEYS"),
        ({"encryption_keys": "k1:" + "A" * 43}, "TILL_ENCRYPTION_KEYS"),
        ({"encryption_keys": ":" + "A" * 43 + "="}, "TILL_ENCRYPTION_KEYS"),
        ({"encryption_keys": f"{GOOD_KEY},k1:" + "B" * 43 + "="}, "TILL_ENCRYPTION_KEYS"),
        ({"encryption_keys": f"{GOOD_KEY},"}, "TILL_ENCRYPTION_KEYS"),
        ({"log_level": "LOUD"}, "TILL_LOG_LEVEL"),
    ],
)
def test_production_does_not_start_on_rubbish(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], told: str
) -> None:
    monkeypatch.setenv("TILL_ENV", "production")
    good = {
        "secret_key": "s" * 32,
        "encryption_keys": GOOD_KEY,
        "database_url": "sqlite://",
        "trusted_hosts": ["a"],
    }
    assert settings.load(**good).production
    with pytest.raises(settings.SettingsError, match=told) as caught:
        settings.load(**good | changes)
    assert "AAAA" not in str(caught.value), "what is wrong is named, not shown"
