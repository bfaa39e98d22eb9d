"""Limits: the contract's strict ones exact in a sliding window, the general ones per second and key."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import settings
from app.api import SURFACES
from app.domain.errors import RateLimited
from app.factory import create_app
from app.kit import clock
from app.services.access import keys, tokens, users
from app.services.checkout import links
from app.services.checkout.links import LinkDraft
from app.services.operations import rate_limits
from app.settings import SettingsError
from app.web.surface import Policy
from tests.databases import environment
from tests.shops import Shop, later, make

ROOT = Path(__file__).parents[2]
PASSWORD = "a long enough passphrase"
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_window_slides(database: str) -> None:
    def hit_at(second: float) -> int:
        with clock.frozen(START + timedelta(seconds=second)):
            try:
                rate_limits.hit("test", "somebody", limit=3, window_seconds=60)
            except RateLimited as error:
                return error.retry_after
            return 0

    assert [hit_at(0), hit_at(20), hit_at(40)] == [0, 0, 0]
    assert hit_at(45) == 15, "the first slot frees at 60"
    assert hit_at(59.5) == 1
    assert hit_at(60) == 0
    assert hit_at(61) == 19, "refused calls take no slot"


def test_buckets_do_not_mix(database: str) -> None:
    for name, who in (("a", "x"), ("a", "y"), ("b", "x"), ("a:x", "")):
        rate_limits.hit(name, who, limit=1, window_seconds=60)
    with pytest.raises(RateLimited):
        rate_limits.hit("a", "x", limit=1, window_seconds=60)
    rate_limits.forget("a", "x")
    rate_limits.hit("a", "x", limit=1, window_seconds=60)


def test_many_at_once_get_no_more_than_the_limit(database: str) -> None:
    def call(_: int) -> bool:
        try:
            rate_limits.hit("test", "somebody", limit=3, window_seconds=60)
        except RateLimited:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert Counter(pool.map(call, range(16))) == {True: 3, False: 13}


def test_a_public_link_is_limited_per_address_in_the_merchants_form(client: FlaskClient, shop: Shop) -> None:
    link = links.create(shop.actor, LinkDraft("Mug", "GBP", slug="mug", amount=1500))
    url = f"/api/v1/links/{link.slug}"
    assert [client.get(url).status_code for _ in range(10)] == [200] * 10
    refused = client.get(url)
    assert refused.status_code == 429
    assert refused.json is not None
    assert refused.json["error"] == "Rate limit exceeded"
    assert refused.json["code"] == "RATE_LIMIT_EXCEEDED"
    assert 1 <= refused.json["retryAfter"] <= 60
    assert refused.headers["Retry-After"] == str(refused.json["retryAfter"])
    assert refused.headers["RateLimit-Policy"] == '"MR-004";q=10;w=60'
    assert refused.headers["RateLimit"] == f'"MR-004";r=0;t={refused.json["retryAfter"]}'
    elsewhere = client.get(url, environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    assert elsewhere.status_code == 200
    forged = client.get(url, headers={"X-Forwarded-For": "203.0.113.10"})
    assert forged.status_code == 429, "no trusted proxy, no forwarded address"
    line = [{"REMOTE_ADDR": f"2001:4860:1::{number}"} for number in range(11)]
    assert [client.get(url, environ_overrides=where).status_code for where in line] == [200] * 10 + [429]


def test_every_stated_limit_is_exact_and_the_tenants_own(app: Flask, shop: Shop) -> None:
    """Whichever of its people or keys calls: so many in a sliding minute, and then none until one is over."""
    client, callers = app.test_client(), []
    for merchant in (shop, make("Other")):
        slug = merchant.actor.tenant.slug
        person = users.create(merchant.actor.tenant_id, f"a@{slug}.example", "A", "payments_admin", PASSWORD)
        jwt = tokens.mint_jwt(tokens.person(person.id, "test"))
        callers.append({"Authorization": f"Bearer {jwt}"})
    limits = [policy for surface in SURFACES for policy in surface.policies if policy.limit is not None]
    start = clock.now()
    for policy in limits:
        assert policy.limit is not None
        url = re.sub(r"{\w+}", "none", policy.surface.prefix + policy.path)

        def call(who: int, second: float = 0, policy: Policy = policy, url: str = url) -> Any:
            where = {"REMOTE_ADDR": f"203.0.113.{who}"}
            with clock.frozen(start + timedelta(seconds=second)):
                return client.open(
                    url, method=policy.method, json={}, headers=callers[who], environ_overrides=where
                )

        statuses = [call(0, second=number / 10).status_code for number in range(policy.limit.count)]
        assert 429 not in statuses, policy.route
        refused = call(0, second=30)
        assert refused.status_code == 429, policy.route
        assert refused.json["retryAfter"] == 30
        assert refused.headers["RateLimit"] == f'"{policy.contract_id}";r=0;t=30'
        assert call(1, second=30).status_code != 429, "another tenant, another address"
        assert call(0, second=59.9).status_code == 429
        assert call(0, second=60).status_code != 429
    assert {policy.contract_id for policy in limits} >= {"MR-001", "MR-002", "MR-004", "MR-005"}


def test_a_callers_address_is_what_the_trusted_proxy_says_of_it(database: str, shop: Shop) -> None:
    changes = {"trusted_proxies": 1, "log_level": "CRITICAL"}
    client = create_app(settings.current().model_copy(update=changes)).test_client()
    url = f"/api/v1/links/{links.create(shop.actor, LinkDraft('Mug', 'GBP', slug='mug', amount=1)).slug}"

    def call(forwarded: str) -> int:
        return client.get(url, headers={"X-Forwarded-For": forwarded}).status_code

    made_up = [call(f"198.51.100.{number}, 203.0.113.7:{4000 + number}") for number in range(11)]
    assert made_up == [200] * 10 + [429], "only the last is the proxy's word, and a port is no other caller"
    assert call("203.0.113.7, 203.0.113.8") == 200
    assert [call(f"[2001:4860:1::{number}]:443") for number in range(11)] == [200] * 10 + [429]


@pytest.fixture
def limited(database: str) -> Iterator[Flask]:
    """The app with two writes and three reads a second."""
    changes = {"api_reads_per_second": 3, "api_writes_per_second": 2, "log_level": "CRITICAL"}
    return create_app(settings.current().model_copy(update=changes))


def test_the_general_limit_is_per_key_and_second(limited: Flask, shop: Shop) -> None:
    client, url = limited.test_client(), "/v1/checkout/sessions/chk_none"
    _, second = keys.create(shop.actor, "second server")
    with clock.frozen(clock.now()):
        answers = [client.get(url, headers=shop.bearer) for _ in range(4)]
        other = client.get(url, headers={"Authorization": second})
        write = client.post("/v1/payments/intents", json={}, headers=shop.bearer)
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"reads";q=3;w=1'
    assert answers[0].headers["RateLimit"].startswith('"reads";r=2;t=')
    refused = answers[3]
    assert refused.headers["RateLimit"] == '"reads";r=0;t=1'
    assert refused.headers["Retry-After"] == "1"
    assert refused.json is not None
    assert refused.json["code"] == "rate_limit_exceeded"
    assert other.status_code == 404
    assert write.status_code == 400, "writes have a window of their own"
    with later(2):
        assert client.get(url, headers=shop.bearer).status_code == 404


def test_a_strict_limit_and_the_general_one_are_told_side_by_side(limited: Flask, shop: Shop) -> None:
    client, url = limited.test_client(), "/api/v1/checkout/sessions/none"
    with clock.frozen(clock.now()):
        answers = [client.get(url, headers=shop.bearer) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[1].headers["RateLimit-Policy"] == '"reads";q=3;w=1, "MR-002";q=30;w=60'
    assert answers[1].headers["RateLimit"] == '"reads";r=1;t=1, "MR-002";r=28;t=60'


def test_each_surface_refuses_in_its_own_words(limited: Flask, shop: Shop) -> None:
    client, bodies = limited.test_client(), []
    for url, header in (
        ("/v1/checkout/sessions/chk_none", "Authorization"),
        ("/v1/payments/intents/pi_none", "Authorization"),
        ("/api/v1/checkout/sessions/none", "Authorization"),
        ("/checkout-sessions/none", "x-api-key"),
    ):
        _, secret = keys.create(shop.actor, url)
        with clock.frozen(clock.now()):
            [*_, refused] = [client.get(url, headers={header: secret}) for _ in range(4)]
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        told = refused.get_json()
        told.pop("request_id", None)
        bodies.append(told)
    lower = {
        "error": "Rate limit exceeded",
        "code": "rate_limit_exceeded",
        "explain": {"retry_after": 1},
    }
    upper = {"error": "Rate limit exceeded", "code": "RATE_LIMIT_EXCEEDED", "retryAfter": 1}
    assert bodies == [lower, lower, upper, {"statusCode": 429, "message": "Rate limit exceeded"}]


#: What each of several processes does: calls of one key and of one address, at one moment.
CALLER = """
import sys
from datetime import UTC, datetime
from app import settings
from app.factory import create_app
from app.kit import clock
store, key, slug, at = sys.argv[1:]
app = create_app(settings.load(rate_limit_storage=store, api_reads_per_second=20, log_level="CRITICAL"))
client, headers = app.test_client(), {"Authorization": key}
print("ready", flush=True)
sys.stdin.readline()
with clock.frozen(datetime.fromtimestamp(float(at), UTC)):
    reads = [client.get("/v1/checkout/sessions/none", headers=headers).status_code for _ in range(12)]
    links = [client.get("/api/v1/links/" + slug).status_code for _ in range(6)]
print(reads.count(404), reads.count(429), links.count(200), links.count(429))
"""


@pytest.mark.parametrize("store", ["memory://", "database://"])
def test_processes_count_together(database: str, shop: Shop, tmp_path: Path, store: str) -> None:
    links.create(shop.actor, LinkDraft("Mug", "GBP", slug="mug", amount=1500))
    at = str(clock.now().timestamp())
    command = [sys.executable, "-c", CALLER, store, shop.secret, "mug", at]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    where = {"cwd": ROOT, "env": environment(database, tmp_path)}
    callers = [subprocess.Popen(command, **pipes, **where) for _ in range(3)]  # type: ignore[call-overload]
    try:
        for caller in callers:
            assert caller.stdout.readline() == "ready\n"
        for caller in callers:
            caller.stdin.write("go\n")
            caller.stdin.flush()
        told = [caller.communicate(timeout=60)[0].split() for caller in callers]
    finally:
        for caller in callers:
            caller.kill()
    sums = [sum(int(words[place]) for words in told) for place in range(4)]
    assert sums == [20, 16, 10, 8], "twenty reads of a key and ten looks from an address, whoever serves them"


def test_a_store_that_cannot_be_is_told_at_the_start(database: str) -> None:
    for wrong in ("nonsense://", "redis://localhost:1"):
        with pytest.raises(SettingsError, match="TILL_RATE_LIMIT_STORAGE"):
            create_app(settings.current().model_copy(update={"rate_limit_storage": wrong}))


def test_nought_turns_the_general_limit_off(client: FlaskClient, shop: Shop) -> None:
    answers = [client.get("/v1/checkout/sessions/chk_none", headers=shop.bearer) for _ in range(120)]
    assert {answer.status_code for answer in answers} == {404}
    assert "RateLimit" not in answers[-1].headers
