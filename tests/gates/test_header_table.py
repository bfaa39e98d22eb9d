"""The headers of security.md on every route of the app, whatever it answers; and what browsers report of them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import reading
from app.kit import clock
from app.models.operations.csp_report import CspReport
from app.services.checkout import links, receipts
from app.services.checkout.links import LinkDraft
from app.services.operations import cleaning, csp_reports
from tests.gates.things import Things
from tests.shops import Shop, later

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=(self)",
}
PAGE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "object-src": "'none'",
    "frame-ancestors": "'none'",
    "frame-src": "'self'",
    "report-uri": "/csp-reports",
    "report-to": "csp",
}
API = {"default-src": "'none'", "frame-ancestors": "'none'"}
#: What may be kept: versioned files that belong to nobody, and logos, which everybody sees.
KEPT = ("/static/", "/vendor/", "/logo/")


def wrong(path: str, answer: TestResponse) -> list[str]:
    """What an answer's headers lack."""
    told = dict(answer.headers)
    found = [
        f"{path}: {name} {told.get(name)}" for name, value in EVERYWHERE.items() if told.get(name) != value
    ]
    rules = dict(rule.split(" ", 1) for rule in told["Content-Security-Policy"].split("; "))
    is_page = answer.mimetype == "text/html"
    if rules != (PAGE if is_page else API):
        found.append(f"{path}: {rules}")
    if is_page and told.get("Reporting-Endpoints") != 'csp="/csp-reports"':
        found.append(f"{path}: Reporting-Endpoints")
    if not path.startswith(KEPT) and told.get("Cache-Control") != "no-store":
        found.append(f"{path}: Cache-Control {told.get('Cache-Control')}")
    return found + [f"{path}: {name}" for name in ("X-Frame-Options", "Server") if name in told]


def test_every_route_has_the_headers_of_its_family(app: Flask, client: FlaskClient, shop: Shop) -> None:
    link = links.create(shop.actor, LinkDraft("Mug", "GBP", slug="mug", amount=900))
    paid, found = shop.pay(shop.session()), []
    given = {"hosted_id": shop.session().hosted_id or "", "slug": link.slug, "filename": "css/base.css"}
    known = Things(shop, {**given, "name": "htmx.js"})
    for rule in app.url_map.iter_rules():
        filler = {name: known.ids.get(name, "made-up") for name in rule.arguments}
        filler |= {"mode": "test"} if "mode" in filler else {}
        path, _ = known.fill(rule.rule, **filler)
        for headers in ({}, {**shop.bearer, "x-api-key": shop.secret}):
            found += wrong(path, client.open(path, method=min(rule.methods or {"GET"}), headers=headers))
            if "GET" in (rule.methods or ()):
                found += wrong(path, client.get(path, headers=headers))
    receipt = receipts.url_of(receipts.of_checkout(paid)).rpartition("/")[2]
    for path in (f"/pay/{paid.hosted_id}", f"/receipts/{receipt}", "/nothing"):
        found += wrong(path, client.get(path))
    assert not found, "\n".join(found)


def report(url: str, **body: Any) -> list[dict[str, Any]]:
    """What a browser sends by the Reporting API."""
    fields = {"documentURL": url, "effectiveDirective": "script-src-elem", "blockedURL": "inline", **body}
    return [{"type": "csp-violation", "age": 1, "url": url, "user_agent": "a browser", "body": fields}]


def post(client: FlaskClient, sent: Any, mimetype: str = "application/reports+json", **more: Any) -> int:
    return client.post("/csp-reports", json=sent, headers={"Content-Type": mimetype}, **more).status_code


def kept() -> list[tuple[str, str, str, int]]:
    with reading() as db:
        rows = db.scalars(select(CspReport).order_by(CspReport.route, CspReport.blocked))
        return [(row.route, row.directive, row.blocked, row.count) for row in rows]


def test_what_browsers_report_is_counted_without_a_secret(
    app: Flask, client: FlaskClient, shop: Shop
) -> None:
    hosted = shop.session().hosted_id
    page = f"http://localhost/pay/{hosted}?token=hunter2"
    assert post(client, report(page) + report(page)) == 204
    old = {
        "csp-report": {
            "document-uri": "http://localhost/l/mug",
            "violated-directive": "img-src 'self'",
            "blocked-uri": "https://evil.example:8443/pixel?card=4242",
        }
    }
    assert post(client, old, "application/csp-report") == 204
    assert post(client, report(page, blockedURL="https://evil.example/x")) == 204
    assert kept() == [
        ("/l/<slug>", "img-src", "https://evil.example:8443", 1),
        ("/pay/<hosted_id>", "script-src-elem", "https://evil.example", 1),
        ("/pay/<hosted_id>", "script-src-elem", "inline", 2),
    ]
    told = app.test_cli_runner().invoke(args=["csp-reports"]).output
    assert "2 /pay/<hosted_id> script-src-elem inline" in told
    assert str(hosted) not in told


@pytest.mark.parametrize(
    "body",
    [
        {"documentURL": "https://elsewhere.example/pay/x"},
        {"documentURL": "http://localhost/no/such/page"},
        {"documentURL": "http://[bad/"},
        {"effectiveDirective": "<script>"},
        {"effectiveDirective": 7},
        {"blockedURL": "chrome-extension://abc/x.js"},
        {"blockedURL": "moz-extension"},
        {"blockedURL": "https://[bad"},
        {"blockedURL": "not a word"},
    ],
)
def test_what_says_nothing_of_our_pages_is_dropped(client: FlaskClient, body: dict[str, Any]) -> None:
    assert post(client, report("http://localhost/docs", **body)) == 204
    assert kept() == []


def test_rubbish_and_floods_are_refused(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "http://localhost/docs"
    monkeypatch.setattr(csp_reports, "MAX_KINDS", 2)
    with clock.frozen(clock.now()):
        assert post(client, report(page), "text/plain") == 400
        assert client.post("/csp-reports", data="{", content_type="application/csp-report").status_code == 400
        assert post(client, 7) == 400
        assert post(client, [{"type": "deprecation"}, 7, {"type": "csp-violation"}]) == 204
        many = [
            item for number in range(30) for item in report(page, blockedURL=f"https://h{number}.example")
        ]
        assert post(client, many) == 204
        assert [row[2:] for row in kept()] == [("https://h0.example", 1), ("https://h1.example", 1)]
        statuses = [post(client, report(page)) for _ in range(6)]
    assert statuses == [204] * 5 + [429]
    assert client.post(
        "/csp-reports", data=b"x" * 70_000, content_type="application/csp-report"
    ).status_code == (429)
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}}
    assert post(client, report(page, blockedURL="x" * 70_000), **elsewhere) == 413
    with later(91 * 86_400):
        cleaning.clean()
        assert kept() == []
