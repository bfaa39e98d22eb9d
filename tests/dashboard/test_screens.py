"""The dashboard through HTTP: who gets in, what they may do, what is shown once, whose data it is."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.kit import clock
from app.kit.http import Answer, SafeClient
from app.models.access.user import User
from app.services.access import keys, sign_ins, totp, users, web_sessions
from app.services.events import audit, deliveries, webhooks
from app.services.payments import refunds
from tests import qr_codes, shops
from tests.desk import at, enter
from tests.shops import Shop

PASSWORD = "a long enough passphrase"


def person(shop: Shop, role: str = "payments_admin", email: str = "owner@shop.test") -> User:
    return users.create(shop.actor.tenant_id, email, "Olivia", role, PASSWORD)


def token(client: FlaskClient, path: str) -> str:
    """The CSRF token of a page's form."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    assert found is not None, f"no form on {path}"
    return found.group(1)


def post(client: FlaskClient, form_at: str, to: str, **fields: str):  # type: ignore[no-untyped-def]
    return client.post(to, data={"csrf_token": token(client, form_at), **fields})


def sign_in(client: FlaskClient, email: str = "owner@shop.test") -> None:
    answer = post(client, "/dashboard/sign-in", "/dashboard/sign-in", email=email, password=PASSWORD)
    assert answer.status_code == 303, answer.text


def confirm_by_form(client: FlaskClient, action: str) -> None:
    address = f"/dashboard/confirm?action={action}&next=/dashboard/test"
    assert post(client, address, address, secret=PASSWORD).status_code == 303


def step_up(client: FlaskClient, action: str) -> None:
    held = web_sessions.load(_cookie(client))
    assert held is not None
    web_sessions.confirm(held.token_hash, action)


@pytest.fixture
def owner(client: FlaskClient, shop: Shop) -> FlaskClient:
    """The owner, signed in."""
    return enter(client, shop, email="owner@shop.test").client


def test_the_way_on_after_signing_in_stays_on_this_site(client: FlaskClient, shop: Shop) -> None:
    person(shop)
    for wanted in ("https://evil.test/", "//evil.test/dashboard/", "/dashboard/\\evil"):
        address = f"/dashboard/sign-in?next={wanted}"
        answer = post(client, "/dashboard/sign-in", address, email="owner@shop.test", password=PASSWORD)
        assert answer.location == "/dashboard/test"
        client.delete_cookie("till")


def test_the_way_on_is_kept_whole_over_the_second_step(client: FlaskClient, shop: Shop) -> None:
    user = person(shop)
    totp.begin(user.id)
    totp.enable_without_code(user.id)
    wanted = "/dashboard/test/payments?status=failed&q=ada"
    address = f"/dashboard/sign-in?next={quote(wanted)}"
    answer = post(client, "/dashboard/sign-in", address, email="owner@shop.test", password=PASSWORD)
    assert parse_qs(urlsplit(answer.location).query)["next"] == [wanted]


def test_a_form_without_its_token_is_refused(owner: FlaskClient, shop: Shop) -> None:
    assert owner.post("/dashboard/test/keys", data={"name": "x"}).status_code == 400
    assert [key.name for key in keys.list_all(shop.actor)] == ["tests"]


def test_signing_in_gives_a_fresh_session_and_signing_out_ends_it(owner: FlaskClient) -> None:
    cookie = owner.get_cookie("till")
    assert cookie is not None
    confirm_by_form(owner, "refund")
    changed = owner.get_cookie("till")
    assert changed is not None and changed.value != cookie.value
    assert post(owner, "/dashboard/security", "/dashboard/sign-out").status_code == 303
    assert owner.get("/dashboard/test").status_code == 303


def test_a_payment_shows_its_score_and_why(owner: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, "4000000000004954")
    page = owner.get(f"/dashboard/test/payments/{shop.intent(session).id}").text
    assert "90 · deny" in page
    assert "The gateway sees the highest risk in the card (+90)" in page
    assert "Denied by the fraud rules; no gateway was asked" in page
    assert "fraud.decided" in page


def test_a_refund_wants_a_step_up_and_then_goes_through(owner: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    intent = shop.intent(session)
    page = f"/dashboard/test/payments/{intent.id}"
    assert "Refund" in owner.get(page).text
    detour = owner.get(page + "/refund")
    assert detour.status_code == 303 and "/dashboard/confirm?action=refund" in detour.location
    step_up(owner, "refund")
    half = {"how": "part", "amount": "5,00", "words": "Broken", "left": "1620"}
    answer = post(owner, page + "/refund", page + "/refund", **half)
    assert answer.status_code == 303
    made = refunds.of_intent(shop.actor, intent.id)
    assert [(item.amount, item.reason_text) for item in made] == [(500, "Broken")]
    assert (
        "Something was refunded or disputed since"
        in post(owner, page + "/refund", page + "/refund", **half).text
    )
    for wrong in ("", "abc", "0.001", "99"):
        answer = post(owner, page + "/refund", page + "/refund", how="part", amount=wrong, left="1120")
        assert answer.status_code == 422, wrong
    card = {"how": "all", "words": "back to 4111 1111 1111 1111", "left": "1120"}
    slipped = post(owner, page + "/refund", page + "/refund", **card)
    assert slipped.status_code == 422
    assert "words seems to hold a card number" in slipped.text
    assert len(refunds.of_intent(shop.actor, intent.id)) == 1


def test_a_key_is_shown_once_and_stops_working_when_revoked(owner: FlaskClient, shop: Shop) -> None:
    step_up(owner, "api-keys")
    answer = post(owner, "/dashboard/test/keys/new", "/dashboard/test/keys", name="Server", kind="sk")
    secret = re.search(r"sk_test_\w+", answer.text)
    assert secret is not None
    headers = {"x-api-key": secret.group()}
    assert owner.get("/checkout-sessions", headers=headers).status_code == 200
    assert secret.group() not in owner.get("/dashboard/test/keys").text
    key = next(item for item in keys.list_all(shop.actor) if item.name == "Server")
    address = f"/dashboard/test/keys/{key.id}/revoke"
    assert post(owner, address, address).status_code == 303
    assert owner.get("/checkout-sessions", headers=headers).status_code == 401


def test_another_merchants_things_are_not_there(owner: FlaskClient, app: Flask) -> None:
    stranger = shops.make("Stranger")
    session = stranger.session()
    stranger.pay(session)
    intent = stranger.intent(session)
    assert owner.get(f"/dashboard/test/payments/{intent.id}").status_code == 404
    assert owner.get(f"/dashboard/test/payments?q={session.id}").text.count("£16.20") == 0


@pytest.mark.parametrize("words", ["id", "checkout", "last4", "amount", "reference"])
def test_a_payment_is_found_by(owner: FlaskClient, shop: Shop, words: str) -> None:
    session = shop.session(reference="INV-77")
    shop.pay(session)
    shop.pay(shop.session(price=900), "5555555555554444", "n2")
    intent = shop.intent(session)
    query = {
        "id": intent.id,
        "checkout": session.id,
        "last4": "4242",
        "amount": "16.20",
        "reference": "INV-77",
    }[words]
    page = owner.get("/dashboard/test/payments", query_string={"q": query}).text
    assert "£16.20" in page and "£9.72" not in page


def test_a_link_is_made_with_its_qr_code_and_a_wrong_one_says_what_to_mend(owner: FlaskClient) -> None:
    new = "/dashboard/test/links/new"
    bad = post(owner, new, "/dashboard/test/links", title="", currency="GBP", amount="5")
    assert bad.status_code == 422 and "Enter a title" in bad.text
    bad = post(owner, new, "/dashboard/test/links", title="Ticket", currency="GBP", amount="five")
    assert bad.status_code == 422 and "Enter an amount like 12.50" in bad.text
    made = post(
        owner, new, "/dashboard/test/links", title="Ticket", currency="GBP", amount="25", slug="ticket-1"
    )
    page = owner.get(made.location).text
    assert "/l/ticket-1/qr.svg" in page
    assert owner.get("/l/ticket-1/qr.svg").mimetype == "image/svg+xml"
    assert owner.get("/l/ticket-1/qr.png").data.startswith(b"\x89PNG")
    assert "£25.00" in owner.get("/l/ticket-1").text


def with_totp(shop: Shop) -> tuple[User, str]:
    """Somebody whose second factor is on, and its seed."""
    user = person(shop)
    seed, _ = totp.begin(user.id)
    assert totp.enable(user.id, pyotp.TOTP(seed).at(clock.now())) is not None
    return user, seed


def entered(client: FlaskClient, user: User) -> None:
    """The browser of somebody who is signed in, and has confirmed nothing since."""
    with client.session_transaction() as cookie:
        cookie["web_session"] = web_sessions.open_session(user.id)


def test_a_seed_in_force_is_never_shown_again_and_looking_does_not_switch_it_off(
    client: FlaskClient, shop: Shop
) -> None:
    user, seed = with_totp(shop)
    entered(client, user)
    page = post(client, "/dashboard/security", "/dashboard/security/totp", code="000000")
    assert seed not in page.text
    assert page.status_code == 303, "without step-up nothing is tried"
    step_up(client, "mfa")
    for answer in (
        client.get("/dashboard/security/totp"),
        post(client, "/dashboard/security", "/dashboard/security/totp", code="000000"),
    ):
        assert (answer.status_code, answer.location) == (303, "/dashboard/security")
        assert seed not in answer.text
    assert totp.secret_of(user.id) == seed
    assert users.get(user.id)[0].totp_enabled


def test_whatever_is_signed_in_is_listed_and_can_be_ended(
    app: Flask, client: FlaskClient, shop: Shop
) -> None:
    user = person(shop)
    other = app.test_client()
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    form = {"csrf_token": token(other, "/dashboard/sign-in"), "email": user.email, "password": PASSWORD}
    other.post(
        "/dashboard/sign-in",
        data=form,
        headers={"User-Agent": firefox},
        environ_base={"REMOTE_ADDR": "203.0.113.77"},
    )
    asked = {"grant_type": "password", "username": user.email, "password": PASSWORD}
    api = client.post("/v1/auth/token", json=asked, headers={"User-Agent": "curl/8.5"}).json
    assert api is not None
    sign_in(client)
    page = client.get("/dashboard/security").text
    assert "Firefox, Windows" in page and "203.0.113.0/24" in page and "this one" in page
    assert "curl" in page and "203.0.113.77" not in page
    found = {item.agent: item.id for item in sign_ins.list_open(user.id)}
    assert len(found) == 3
    stranger = users.create(user.tenant_id, "b@shop.test", "B", "admin", PASSWORD)
    foreign = web_sessions.open_session(stranger.id)
    theirs = sign_ins.list_open(stranger.id)[0].id
    assert post(client, "/dashboard/security", _end(theirs)).status_code == 404
    assert web_sessions.load(foreign) is not None
    assert post(client, "/dashboard/security", _end(found["Firefox, Windows"])).status_code == 303
    assert other.get("/dashboard/test").location.startswith("/dashboard/sign-in")
    assert post(client, "/dashboard/security", _end("others")).status_code == 303
    headers = {"Authorization": f"Bearer {api['access_token']}"}
    assert client.get("/v1/payments/settings", headers=headers).status_code == 401
    [mine] = sign_ins.list_open(user.id)
    assert post(client, "/dashboard/security", _end(mine.id)).location == "/dashboard/sign-in"
    assert client.get("/dashboard/test").status_code == 303


def _end(what: str) -> str:
    return f"/dashboard/security/sign-ins/{'end-others' if what == 'others' else what + '/end'}"


def test_a_new_password_is_checked_and_gives_this_browser_a_new_id(
    owner: FlaskClient, shop: Shop, app: Flask
) -> None:
    before, place = _cookie(owner), "/dashboard/security/password"
    wrong = post(owner, place, place, secret="wrong wrong wrong", new_secret="wet owl under the bridge")
    assert wrong.status_code == 401 and "isn&#39;t your password" in wrong.text
    weak = post(owner, place, place, secret=PASSWORD, new_secret="Password2026!!")
    assert weak.status_code == 400 and "Password2026" not in weak.text
    changed = post(owner, place, place, secret=PASSWORD, new_secret="wet owl under the bridge")
    assert changed.status_code == 303
    assert _cookie(owner) != before and web_sessions.load(before) is None
    assert owner.get("/dashboard/test").status_code == 200
    assert users.check_password("owner@shop.test", "wet owl under the bridge", "192.0.2.9")


def test_signing_in_again_ends_what_this_browser_had_and_being_away_what_it_has(
    client: FlaskClient, shop: Shop
) -> None:
    user = person(shop)
    sign_in(client)
    before = _cookie(client)
    form = {"csrf_token": token(client, "/dashboard/security"), "email": user.email, "password": PASSWORD}
    assert client.post("/dashboard/sign-in", data=form).status_code == 303
    assert _cookie(client) != before
    assert web_sessions.load(before) is None
    assert len(sign_ins.list_open(user.id)) == 1
    with shops.later(15 * 60 + 1):
        assert client.get("/dashboard/test").location.startswith("/dashboard/sign-in"), "left alone"


def test_the_second_factor_is_scanned_gives_a_new_id_and_codes_that_get_in_once(
    owner: FlaskClient, app: Flask, shop: Shop
) -> None:
    step_up(owner, "mfa")
    page = owner.get("/dashboard/security/totp").text
    scanned = qr_codes.read(qr_codes.drawn(page[page.index('class="qr-frame"') :]))
    factor = pyotp.parse_uri(scanned)
    assert factor.name == "owner@shop.test" and factor.secret in page
    before = _cookie(owner)
    code = factor.at(clock.now())
    shown = owner.post(
        "/dashboard/security/totp",
        data={"csrf_token": token(owner, "/dashboard/security"), "code": code},
    )
    first = re.findall(r"(?:[a-z2-7]{6}-){3}[a-z2-7]{6}", shown.text)
    assert len(first) == 8
    assert _cookie(owner) != before and web_sessions.load(before) is None
    assert "8 recovery codes are left" in owner.get("/dashboard/security").text
    for status in (303, 401):
        phoneless = app.test_client()
        sign_in(phoneless)
        tried = post(phoneless, "/dashboard/sign-in/code", "/dashboard/sign-in/code", code=first[3])
        assert tried.status_code == status, "a recovery code gets in once"
    renewed = post(owner, "/dashboard/security/codes", "/dashboard/security/codes")
    fresh = re.findall(r"(?:[a-z2-7]{6}-){3}[a-z2-7]{6}", renewed.text)
    assert len(fresh) == 8 and not set(first) & set(fresh)
    before = _cookie(owner)
    assert post(owner, "/dashboard/security", "/dashboard/security/totp/off").status_code == 303
    assert _cookie(owner) != before and web_sessions.load(before) is None


def test_in_live_mode_a_password_is_no_step_up(owner: FlaskClient, shop: Shop) -> None:
    step_up(owner, "api-keys")
    assert owner.get("/dashboard/test/keys/new").status_code == 200
    for path in ("/keys/new", "/webhooks/new"):
        assert owner.get(f"/dashboard/live{path}").location == "/dashboard/security/totp"
    refused = post(owner, "/dashboard/test/keys/new", "/dashboard/live/keys", name="Server", kind="sk")
    assert refused.location == "/dashboard/security/totp"
    assert keys.list_all(shop.actor, mode="live") == []


def test_a_key_is_rolled_and_the_old_one_is_shown_as_being_replaced(owner: FlaskClient, shop: Shop) -> None:
    old, secret = keys.create(shop.actor, "Server")
    step_up(owner, "api-keys")
    address = f"/dashboard/test/keys/{old.id}/roll"
    answer = post(owner, address, address, overlap="1h")
    fresh = re.search(r"sk_test_\w{49}", answer.text)
    assert answer.status_code == 201 and fresh is not None
    page = owner.get("/dashboard/test/keys").text
    assert "Being replaced" in page and fresh.group() not in page
    for held in (secret, fresh.group()):
        assert owner.get("/checkout-sessions", headers={"x-api-key": held}).status_code == 200
    with shops.later(3601):
        assert owner.get("/checkout-sessions", headers={"x-api-key": secret}).status_code == 401
    again = post(owner, address, address, overlap="1h")
    assert again.status_code == 409 and "rolled already" in again.text


def test_codes_of_an_enrolment_are_not_guessed(client: FlaskClient, shop: Shop) -> None:
    user = person(shop)
    totp.begin(user.id)
    entered(client, user)
    step_up(client, "mfa")
    tries = [post(client, "/dashboard/security", "/dashboard/security/totp", code="000000") for _ in range(6)]
    assert [answer.status_code for answer in tries] == [422] * 5 + [429]


def _cookie(client: FlaskClient) -> str:
    with client.session_transaction() as cookie:
        return str(cookie["web_session"])


def test_an_endpoint_in_trouble_is_told_and_its_events_are_sent_again(owner: FlaskClient, shop: Shop) -> None:
    endpoint, old = webhooks.create(shop.actor, "https://shop.test/hook", ["payment.succeeded"])
    shop.pay(shop.session())
    audit.seal()
    [delivery_id] = deliveries.due()
    claimed = deliveries.claim(delivery_id)
    assert claimed is not None
    gone = Answer(410, {}, b"<gone>", 7)
    sender = SafeClient(allow_loopback=False)
    sender.post = lambda *_: gone  # type: ignore[method-assign]
    deliveries.deliver(claimed, sender)
    page = f"/dashboard/test/webhooks/{endpoint.id}"
    for path in ("/dashboard/test", "/dashboard/test/webhooks"):
        assert "A webhook endpoint was switched off" in owner.get(path).text
    shown = owner.get(f"/dashboard/test/webhooks/deliveries/{delivery_id}").text
    assert "410 Gone says that nobody wants these events" in shown and "&lt;gone&gt;" in shown
    post(owner, page, f"{page}/enabled", enabled="1")
    assert "switched off" not in owner.get("/dashboard/test").text
    span = {"since": "2020-01-01T00:00", "until": "2100-01-01T00:00", "which": "failed"}
    assert (
        "Events that would be sent again: 1" in post(owner, page, f"{page}/replay", **span, do="count").text
    )
    assert len(deliveries.due()) == 0
    assert post(owner, page, f"{page}/replay", **span, do="send").status_code == 303
    assert "Events that are being sent again: 1" in owner.get(page).text
    assert len(deliveries.due()) == 1
    for wrong in ({"since": "then"}, {"until": ""}, {"until": "2000-01-01T00:00"}, {"which": "some"}):
        assert post(owner, page, f"{page}/replay", **{**span, **wrong}, do="send").status_code == 422
    detour = post(owner, page, f"{page}/roll", back=page)
    assert detour.status_code == 303 and detour.location.endswith(f"next={page}")
    step_up(owner, "webhooks")
    answer = post(owner, page, f"{page}/roll")
    assert "signed with the old secret as well" in answer.text
    assert webhooks.secrets_of(webhooks.get(shop.actor, endpoint.id))[1] == old
    other = webhooks.create(shops.make("Other").actor, "https://o.test/h", ["payment.succeeded"])[0]
    assert owner.get(f"/dashboard/test/webhooks/{other.id}").status_code == 404
    assert post(owner, page, f"/dashboard/test/webhooks/{other.id}/replay", **span).status_code == 404


def test_the_menu_leads_only_where_one_may_go(app: Flask, shop: Shop) -> None:
    seen = {}
    for role in ("reconciler", "payments_admin"):
        desk = at(app, shop, role)
        links = re.findall(r'class="side-link" href="([^"]+)"', desk.get("/dashboard/test").text)
        assert not [href for href in links if desk.client.get(href, follow_redirects=True).status_code != 200]
        seen[role] = set(links)
    assert "/dashboard/test/payouts" in seen["reconciler"]
    assert seen["payments_admin"] - seen["reconciler"]
