"""Settings and branding at the dashboard: what is saved, what is refused, who may, and the preview."""

from __future__ import annotations

import pytest
from flask import Flask

from app.db import reading
from app.models.events.journal import JournalEntry
from app.services.access import tenants, totp
from app.services.operations import settings
from app.services.operations.settings import checkout_settings
from tests import desk, shops
from tests.desk import Desk
from tests.shops import Shop

BRANDING = {"name": "Mug & Co", "own_accent": "1", "own_accent_known": "1", "brand_accent": "#1a73e8"}
CHECKOUT = {
    "session_ttl_seconds": "90",
    "link_ttl_seconds": "30",
    "hold_ttl_seconds": "7,5",
    "max_payment_attempts": "3",
    "redirect_hosts": "shop.example\nwww.shop.example",
}
FRAUD = {"challenge_from": 77, "deny_from": 88}


@pytest.fixture
def owner(app: Flask, shop: Shop) -> Desk:
    return desk.at(app, shop)


def version(shop: Shop) -> str:
    return str(settings.read(shop.actor)[1])


def test_branding_is_seen_by_shoppers_and_is_all_or_nothing(owner: Desk, shop: Shop) -> None:
    sent = {**BRANDING, "support_email": "help@mugs.example", "version": version(shop)}
    assert owner.post("/settings", sent).status_code == 303
    profile = tenants.profile(shop.actor.tenant_id, "test")
    assert profile.name == "Mug & Co"
    assert checkout_settings(profile).brand_accent == "#1a73e8"
    session = shop.session()
    page = owner.client.get(f"/pay/{session.hosted_id}").text
    assert "Mug &amp; Co" in page and 'data-accent="#1a73e8"' in page and "help@mugs.example" in page
    bad = {**sent, "name": "Other", "support_email": "nobody", "version": version(shop)}
    refused = owner.post("/settings", bad)
    assert refused.status_code == 422 and 'value="Other"' in refused.text and "nobody" in refused.text
    assert owner.post("/settings", {**sent, "name": " ", "version": version(shop)}).status_code == 422
    assert tenants.profile(shop.actor.tenant_id, "test").name == "Mug & Co"
    with reading() as db:
        found = db.query(JournalEntry).filter_by(tenant_id=shop.actor.tenant_id, type="tenant.renamed").all()
    assert [(row.actor_id, row.data["after"]["name"]) for row in found] == [(owner.user.id, "Mug & Co")]


def test_the_preview_shows_what_is_typed_to_our_own_frame_alone_and_stores_nothing(
    owner: Desk, shop: Shop
) -> None:
    before = version(shop)
    answer = owner.get(
        "/settings/preview", name="<b>New</b>", brand_accent="#ff8800", terms_url="javascript:x"
    )
    assert "&lt;b&gt;New&lt;/b&gt;" in answer.text and 'data-accent="#ff8800"' in answer.text
    assert "javascript:x" not in answer.text
    rules = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in rules and "form-action 'none'" in rules
    assert "<form" not in answer.text
    without = owner.get("/settings/preview", own_accent_known="1", brand_accent="#ff8800")
    assert "data-accent" not in without.text
    assert version(shop) == before
    assert "frame-ancestors 'none'" in owner.get("/settings").headers["Content-Security-Policy"]


def test_a_section_is_saved_in_the_words_of_its_form(owner: Desk, shop: Shop) -> None:
    assert owner.post("/settings/checkout", CHECKOUT, version=version(shop)).status_code == 303
    row, _ = settings.read(shop.actor)
    assert (row.session_ttl_seconds, row.hold_ttl_seconds, row.fresh_copies) == (5400, 450, False)
    assert row.redirect_hosts == ("shop.example", "www.shop.example")
    assert 'value="7.5"' in owner.get("/settings/checkout").text
    limits = {
        "limits_currency": "GBP",
        "max_amount": "1200.50",
        "min_amount": "",
        "max_confirms_per_session": "",
    }
    sent = {**limits, "max_authorization_amount": "", "version": version(shop)}
    assert owner.post("/settings/limits", sent).status_code == 303
    row, _ = settings.read(shop.actor)
    assert (row.max_amount, row.min_amount, row.limits_currency) == (120_050, None, "GBP")
    books = {"account-capture": "4000", "account-fees": "", "version": version(shop)}
    assert owner.post("/settings/accounting", books).status_code == 303
    assert settings.read(shop.actor)[0].gl_accounts == {"capture": "4000"}
    methods = {
        "allowed_methods": ["card", "ideal"],
        "currencies": "gbp, EUR",
        "default_capture_mode": "manual",
        "three_ds_policy": "always",
        "dispute_retention_days": "90",
        "version": version(shop),
    }
    assert owner.post("/settings/payments", methods).status_code == 303
    row, _ = settings.read(shop.actor)
    assert (row.allowed_methods, row.currencies) == (("card", "ideal"), ("GBP", "EUR"))


@pytest.mark.parametrize(
    ("section", "wrong", "words"),
    [
        ("checkout", {"session_ttl_seconds": "soon"}, "Enter a figure"),
        ("checkout", {"session_ttl_seconds": "1"}, "Must be from 300 to 86400 seconds"),
        ("checkout", {"session_ttl_seconds": "NaN"}, "Enter a figure"),
        ("checkout", {"max_payment_attempts": "-1"}, "Enter a whole number"),
        ("checkout", {"redirect_hosts": "https://shop.example"}, "is not the name of a host"),
        ("limits", {"max_amount": "1.005", "limits_currency": "GBP"}, "GBP has 2 decimals"),
        ("limits", {"max_amount": "5", "min_amount": "6", "limits_currency": "GBP"}, "above max_amount"),
        ("limits", {"max_amount": "5", "limits_currency": "XXQ"}, "Choose a currency"),
        ("payments", {"default_capture_mode": "never", "dispute_retention_days": "90"}, "Must be one of"),
    ],
)
def test_what_cannot_be_says_what_to_mend_and_changes_nothing(
    owner: Desk, shop: Shop, section: str, wrong: dict[str, str], words: str
) -> None:
    before = version(shop)
    answer = owner.post(f"/settings/{section}", {**(CHECKOUT if section == "checkout" else {}), **wrong})
    assert answer.status_code == 422 and words in answer.text
    assert version(shop) == before


def test_what_a_test_key_chose_is_told_in_test_mode_and_is_never_saved_for_both(
    owner: Desk, shop: Shop
) -> None:
    settings.change(shop.actor, {"redirect_hosts": ["evil.example"], "hold_ttl_seconds": 60, "fraud": FRAUD})
    form = owner.get("/settings/checkout")
    assert "redirect hosts" in form.text and "for test mode alone" in form.text
    assert "evil.example" not in form.text, "the form shows what it would change"
    assert 'value="77"' not in owner.get("/fraud/edit").text
    assert "for test mode alone" not in owner.get("/dashboard/live/settings/checkout").text
    assert owner.post("/settings/checkout", {**CHECKOUT, "version": version(shop)}).status_code == 303
    for mode in ("test", "live"):
        row = checkout_settings(tenants.profile(shop.actor.tenant_id, mode))
        assert (row.redirect_hosts, row.hold_ttl_seconds) == (("shop.example", "www.shop.example"), 450)
    assert "for test mode alone" in owner.get("/settings/checkout").text, "of the fraud rules it still is"
    assert "same in test mode and in live mode" in owner.get("/team").text


def test_a_change_of_somebody_else_is_not_written_over(owner: Desk, shop: Shop) -> None:
    seen = version(shop)
    settings.change(shop.actor, {"max_payment_attempts": 9})
    answer = owner.post("/settings/checkout", CHECKOUT, version=seen)
    assert answer.status_code == 409 and "changed by somebody else" in answer.text
    assert settings.read(shop.actor)[0].max_payment_attempts == 9


def test_methods_are_chosen_by_country(owner: Desk, shop: Shop) -> None:
    page = "/settings/countries"
    added = {"new_country": "NL", "methods-new": ["ideal", "paypal"], "version": version(shop)}
    assert owner.post(page, added).status_code == 303
    assert settings.read(shop.actor)[0].allowed_apms == {"NL": ["ideal", "paypal"]}
    both = {"country": ["NL"], "methods-NL": ["ideal"], "new_country": "DE", "version": version(shop)}
    assert owner.post(page, both).status_code == 303
    assert settings.read(shop.actor)[0].allowed_apms == {"NL": ["ideal"], "DE": []}
    gone = {"country": ["NL", "DE"], "methods-NL": ["ideal"], "remove": "DE", "version": version(shop)}
    assert owner.post(page, gone).status_code == 303
    assert settings.read(shop.actor)[0].allowed_apms == {"NL": ["ideal"]}
    for wrong in ({"new_country": "XX"}, {"new_country": "FR", "methods-new": ["card"]}):
        assert owner.post(page, {**wrong, "version": version(shop)}).status_code == 422
    assert "Netherlands" in owner.get(page).text


def test_everybody_can_be_made_to_have_a_second_factor(app: Flask, owner: Desk, shop: Shop) -> None:
    viewer = desk.at(app, shop, "read_only")
    detour = owner.post("/settings/security", require_second_factor="1", version=version(shop))
    assert "/dashboard/confirm?action=mfa" in detour.location
    assert detour.location.endswith("next=/dashboard/test/settings/security")
    owner.confirm("mfa")
    owner.post("/settings/security", require_second_factor="1", version=version(shop))
    assert settings.read(shop.actor)[0].require_second_factor is True
    assert viewer.get("").location == "/dashboard/security/totp"
    assert viewer.post("/links", title="x").location == "/dashboard/security/totp"
    viewer.confirm("mfa")
    assert viewer.get("/dashboard/security/totp").status_code == 200
    totp.begin(viewer.user.id)
    totp.enable_without_code(viewer.user.id)
    assert viewer.get("").status_code == 200


def test_another_merchants_settings_stay(owner: Desk) -> None:
    stranger = shops.make("Stranger")
    before = version(stranger)
    owner.post("/settings", {**BRANDING, "version": "1"})
    assert (
        version(stranger) == before and tenants.profile(stranger.actor.tenant_id, "test").name == "Stranger"
    )
