"""A merchant's logo: handed in at the settings, seen wherever shoppers are, replaced and taken away."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import settings as environment
from app.db import reading
from app.domain.errors import PermissionDenied
from app.kit import pictures
from app.models.events.journal import JournalEntry
from app.services.access import logos
from app.services.checkout import hosted, links, receipts
from app.services.checkout.link_terms import LinkDraft
from app.services.operations import settings
from tests import desk as desks
from tests import shops
from tests.desk import Desk
from tests.drawings import BLACK, TEAL, WHITE, file, mark, opened
from tests.shops import Shop


@pytest.fixture
def owner(app: Flask, shop: Shop) -> Desk:
    return desks.at(app, shop)


def upload(who: Desk, content: bytes, name: str = "logo.png", mode: str = "test") -> TestResponse:
    data: dict[str, Any] = {"logo": (io.BytesIO(content), name)}
    return who.post(f"/dashboard/{mode}/settings/logo", data)


def address(page: str) -> str | None:
    found = re.search(r'src="(/logo/[^"]+)"', page)
    return found.group(1) if found else None


def files(shop: Shop) -> list[Path]:
    return sorted((environment.current().data_dir / "logos" / shop.actor.tenant_id).glob("*"))


def told(shop: Shop) -> list[str]:
    with reading() as db:
        rows = db.query(JournalEntry).filter(
            JournalEntry.tenant_id == shop.actor.tenant_id, JournalEntry.type.like("tenant.logo%")
        )
        return [row.type for row in rows.order_by(JournalEntry.id)]


def test_a_logo_is_seen_wherever_shoppers_are_until_it_is_taken_away(owner: Desk, shop: Shop) -> None:
    link = links.create(shop.actor, LinkDraft("Boat trip", "GBP", slug="boat", amount=900))
    session, paid = shop.session(), shop.pay(shop.session())
    receipt = receipts.url_of(receipts.of_checkout(paid)).removeprefix(environment.current().base_url)
    client, plain_pdf = owner.client, owner.client.get(f"{receipt}.pdf").data
    places = [f"/pay/{session.hosted_id}", "/l/boat", receipt, "/dashboard/test/settings"]
    assert {address(client.get(place).text) for place in [*places, "/l/boat/poster"]} == {None}
    assert "first letter of your name" in owner.get("/settings").text
    assert upload(owner, file(mark(BLACK))).status_code == 303
    seen = {address(client.get(place).text) for place in [*places, "/dashboard/live/settings/preview?name=x"]}
    assert len(seen) == 1
    where = seen.pop()
    assert where is not None and where.endswith("/page.png")
    assert address(client.get("/l/boat/poster").text) == where.replace("page.png", "print.png")
    page = client.get(places[0]).text
    assert 'data-backing="light"' in page and 'class="shop-letter"' not in page
    assert re.search(r'<span class="visually-hidden">Test shop</span>', page), "a wide one says the name"
    shown = client.get(where)
    assert (shown.status_code, shown.mimetype) == (200, "image/png")
    assert shown.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert shown.headers["X-Content-Type-Options"] == "nosniff" and "Set-Cookie" not in shown.headers
    assert opened(shown.data).size == (215, 96)
    settings.change(shop.actor, {"embed_origins": ["https://shop.example"]})
    framed = hosted.embed_token(shop.actor, session.id)[0]
    frame = client.get(f"/embed/{framed}", query_string={"origin": "https://shop.example"}).text
    assert address(frame) == where and "shop-framed" in frame
    with_logo = client.get(f"{receipt}.pdf").data
    assert b"/Subtype /Image" in with_logo and b"/Subtype /Image" not in plain_pdf
    assert with_logo == client.get(f"{receipt}.pdf").data, "the same receipt gives the same bytes"

    first = files(shop)
    assert upload(owner, file(mark(WHITE))).status_code == 303
    assert client.get(where).status_code == 404, "another logo has another address"
    after = files(shop)
    assert len(after) == 2 and not set(first) & set(after), "what nobody names is gone"
    assert 'data-backing="dark"' in client.get(places[0]).text
    assert client.get(f"{receipt}.pdf").data != with_logo
    after[0].unlink(), after[1].unlink()
    assert client.get(f"{receipt}.pdf").data == plain_pdf, "without its file a receipt does without"
    assert client.get(places[0]).status_code == 200
    assert upload(owner, file(mark(WHITE))).status_code == 303
    assert files(shop) == after, "the same once more brings it back"
    for _ in range(2):
        assert owner.post("/settings/logo/remove").status_code == 303
    assert files(shop) == [] and {address(client.get(place).text) for place in places} == {None}
    assert told(shop) == ["tenant.logo_changed", "tenant.logo_changed", "tenant.logo_removed"]
    assert links.get(shop.actor, link.id).used == 0


def test_what_is_no_logo_is_refused_beside_the_field(
    owner: Desk, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = settings.read(shop.actor)[1]
    svg = upload(owner, b"<svg onload=alert(1)>", "logo.svg")
    assert svg.status_code == 422 and "may hold scripts" in svg.text and 'id="logo-error"' in svg.text
    assert "onload" not in svg.text
    assert upload(owner, b"%PDF-1.7", "logo.png").status_code == 422
    assert owner.post("/settings/logo").status_code == 422, "no file"
    monkeypatch.setattr(logos, "MAX_BYTES", 1024 * 1024)
    large = upload(owner, file(mark(TEAL)) + bytes(1024 * 1024))
    assert large.status_code == 413 and "at most 1 MB" in large.text
    monkeypatch.setattr(pictures, "MAX_PIXELS", 100)
    assert upload(owner, file(mark(TEAL))).status_code == 422
    assert files(shop) == [] and told(shop) == [] and settings.read(shop.actor)[1] == before


def test_a_logo_is_its_merchants_own_and_of_who_may_change_settings(
    app: Flask, owner: Desk, shop: Shop
) -> None:
    assert upload(owner, file(mark())).status_code == 303
    where = address(owner.get("/settings").text)
    assert where is not None
    stranger = shops.make("Stranger")
    theirs = desks.at(app, stranger)
    assert address(theirs.get("/settings").text) is None
    assert upload(theirs, file(mark(BLACK))).status_code == 303
    assert theirs.post("/settings/logo/remove").status_code == 303
    assert owner.client.get(where).status_code == 200, "theirs is gone, and ours is not"
    borrowed = where.replace(shop.actor.tenant.public_id, stranger.actor.tenant.public_id)
    assert owner.client.get(borrowed).status_code == 404
    for wrong in (
        where.replace("page", "large"),
        where[:-9] + "../page.png",
        f"/logo/{'0' * 36}/{'0' * 64}/page.png",
    ):
        assert owner.client.get(wrong).status_code == 404
    viewer = desks.at(app, shop, "read_only")
    page = viewer.get("/settings").text
    assert address(page) == where and "/settings/logo" not in page
    assert (
        upload(viewer, file(mark(BLACK))).status_code
        == viewer.post("/settings/logo/remove").status_code
        == 403
    )
    for refused in (lambda: logos.keep(shop.actor, file(mark(BLACK))), lambda: logos.remove(shop.actor)):
        with pytest.raises(PermissionDenied) as key_of_test_mode:
            refused()
        assert key_of_test_mode.value.code == "live_mode_required"
    assert owner.client.get(where).status_code == 200
