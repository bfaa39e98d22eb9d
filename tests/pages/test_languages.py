"""Shoppers read their own language: every catalogue is whole, every state of the pages is in it, Arabic from the right."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient

from app.domain.errors import Conflict, InvalidRequest, ServiceUnavailable
from app.domain.languages import FALLBACK, LANGUAGES
from app.domain.money import format_money
from app.pages import receipt_pdf
from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import links, sessions
from app.services.checkout.drafts import SessionDraft
from app.services.checkout.link_terms import LinkDraft
from app.services.operations import settings
from app.web import languages, refusals
from app.web.languages import CATALOGUES
from tests import finalizations
from tests.shops import NO_FUNDS, Shop, later

#: Words are the same whatever keeps the rows.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
ROOT = Path(__file__).parents[2]
OTHERS = [code for code in LANGUAGES if code != FALLBACK]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[^(\s]")


@cache
def wanted() -> dict[str, Any]:
    """What the shopper pages say now, by the first form of each message."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found: dict[str, Any] = {}
    for folder in ("app", "templates"):
        for _, _, message, _, _ in extract_from_dir(
            ROOT,
            methods,
            options,
            keywords=DEFAULT_KEYWORDS,
            directory_filter=lambda path, folder=folder: inside(path, folder),
        ):
            found[message if isinstance(message, str) else message[0]] = message
    return found


def inside(path: str, folder: str) -> bool:
    """Whether this is the root itself or something in the folder."""
    return Path(path) == ROOT or Path(path).relative_to(ROOT).parts[:1] == (folder,)


@cache
def kept(code: str) -> Catalog:
    with (CATALOGUES / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=code)


def test_there_is_much_to_say_and_a_catalogue_for_each_language() -> None:
    assert len(wanted()) > 250
    assert sorted(path.name for path in CATALOGUES.iterdir()) == sorted(OTHERS)


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalogue_is_whole(code: str) -> None:
    """After new words: `make words`, then translate what is empty."""
    book = kept(code)
    missing = []
    for first, message in wanted().items():
        entry = book.get(first)
        forms = (
            [entry.string] if entry and isinstance(entry.string, str) else list(entry.string) if entry else []
        )
        if not forms or not all(forms) or (entry is not None and entry.fuzzy):
            missing.append(first)
            continue
        if isinstance(message, tuple):
            assert len(forms) == book.num_plurals, first
            # "one day" may say so in words; "%(num)d days" never loses its number
            assert "%(num)d" in forms[-1], first
            assert {mark for form in forms for mark in PLACEHOLDER.findall(form)} == {"%(num)d"}, first
        else:
            assert sorted(PLACEHOLDER.findall(forms[0])) == sorted(PLACEHOLDER.findall(first)), first
    assert not missing


@pytest.mark.parametrize("code", OTHERS)
def test_no_sentence_was_left_in_english(code: str) -> None:
    same = [str(m.id) for m in kept(code) if isinstance(m.id, str) and m.id == m.string]
    assert [text for text in same if len(re.findall(r"[A-Za-z]{2,}", PLACEHOLDER.sub("", text))) > 1] == []


class Reader(HTMLParser):
    """The words that a page shows or says aloud, without what is marked as another language's."""

    SAID = ("alt", "aria-label", "title", "placeholder", "data-busy-text", "data-copied")
    VOID = frozenset({"meta", "link", "input", "img", "br", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.frame: dict[str, str | None] = {}
        self._foreign: list[bool] = []

    def handle_starttag(self, name: str, given: list[tuple[str, str | None]]) -> None:
        named = dict(given)
        foreign = name in ("script", "style", "code") or ("lang" in named and name != "html")
        if name == "html":
            self.frame = named
        if not (foreign or any(self._foreign)):
            self.words += [named[said] or "" for said in self.SAID if said in named]
        if name not in self.VOID:
            self._foreign.append(foreign)

    def handle_startendtag(self, name: str, given: list[tuple[str, str | None]]) -> None:
        """Signs say nothing."""

    def handle_endtag(self, name: str) -> None:
        if name not in self.VOID:
            self._foreign.pop()

    def handle_data(self, data: str) -> None:
        if not any(self._foreign) and data.strip():
            self.words.append(" ".join(data.split()))


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@cache
def english() -> re.Pattern[str]:
    """Every text of the English pages of two words or more, with anything in its blanks."""
    texts = {form for m in wanted().values() for form in (m if isinstance(m, tuple) else (m,))}
    long = [text for text in texts if len(re.findall(r"[A-Za-z']{2,}", PLACEHOLDER.sub("", text))) > 1]
    blanks = [r".{1,60}?".join(map(re.escape, PLACEHOLDER.split(text))) for text in long]
    return re.compile("|".join(f"(?:{text})" for text in sorted(blanks, key=len, reverse=True)))


State = Callable[[FlaskClient], str]


def states(client: FlaskClient, shop: Shop) -> dict[str, State]:
    """What most shoppers see, with what it takes to see it again."""

    def made(**more: Any) -> Any:
        cart = CartSnapshot("EUR", (CartLine("line_1", "MUG", "Kübel", 2, 1500),))
        return sessions.create(shop.actor, SessionDraft("checkout", cart=cart, hosted=True, **more))

    def seen(path: str) -> State:
        return lambda browser: browser.get(path).text

    def sent(path: str, **fields: str) -> State:
        return lambda browser: browser.post(path, data={**token, **fields}).text

    plain, declined, paid, gone = made(title="Kübel"), made(), made(), made(lifetime_seconds=60)
    sent_home = made(options={"require_shipping_address": True, "require_billing_address": True})
    open_one = made(options={"allow_coupon_code": True, "allow_quantity": True})
    page = client.get(f"/pay/{plain.hosted_id}").text
    token = dict(re.findall(r'name="(csrf_token|quote|nonce)"[^>]*value="([^"]+)', page))
    shop.pay(declined, NO_FUNDS)
    shop.pay(paid)
    client.get(f"/pay/{paid.hosted_id}/receipt")
    bounds = LinkDraft("Kübel", "EUR", min_amount=100, max_amount=5000, presets=(500,))
    link, shut = (
        links.create(shop.actor, draft) for draft in (bounds, LinkDraft("Kübel", "EUR", amount=100))
    )
    links.set_active(shop.actor, shut.id, False)
    return {
        "usual": seen(f"/pay/{plain.hosted_id}"),
        "empty card": sent(f"/pay/{plain.hosted_id}/card"),
        "with extras": seen(f"/pay/{open_one.hosted_id}"),
        "bad code": sent(f"/pay/{open_one.hosted_id}/coupon", coupon="NIX"),
        "bad number": sent(f"/pay/{open_one.hosted_id}/quantity", quantity="0"),
        "delivery": seen(f"/pay/{sent_home.hosted_id}"),
        "bad address": sent(f"/pay/{sent_home.hosted_id}/shipping", ship_country="GB"),
        "declined": seen(f"/pay/{declined.hosted_id}"),
        "expired": lambda browser: at_late(seen(f"/pay/{gone.hosted_id}"), browser),
        "paid": seen(f"/pay/{paid.hosted_id}"),
        "receipt": seen(f"/receipts/{finalizations.receipts(paid)[0].token}"),
        "link": seen(f"/l/{link.slug}"),
        "link's bounds": sent(f"/l/{link.slug}", amount="9999"),
        "link that is off": seen(f"/l/{shut.slug}"),
        "poster": seen(f"/l/{link.slug}/poster"),
        "return": seen("/return/nothing"),
        "nothing": seen("/nothing/here"),
        "stale form": lambda browser: browser.post(f"/pay/{plain.hosted_id}/card", data={}).text,
    }


def at_late(state: State, browser: FlaskClient) -> str:
    with later(3600):
        return state(browser)


@on_sqlite
def test_no_page_speaks_english(client: FlaskClient, shop: Shop) -> None:
    found = states(client, shop)
    for code in LANGUAGES:
        client.environ_base["HTTP_ACCEPT_LANGUAGE"] = f"{code}-XX,en;q=0.5"
        for name, state in found.items():
            said = read(state(client))
            assert said.frame["lang"] == languages.tag(code), name
            assert said.frame["dir"] == ("rtl" if code == "ar" else "ltr"), name
            heard = [match.group() for words in said.words for match in english().finditer(words)]
            assert bool(heard) == (code == FALLBACK), (code, name, heard)


@on_sqlite
def test_a_reader_picks_a_language_and_keeps_it(client: FlaskClient, shop: Shop) -> None:
    session, other = shop.session(), shop.session()
    page = client.get(f"/pay/{session.hosted_id}").text
    offered = re.findall(r'<a href="\?lang=(\w+)" lang="([\w-]+)" hreflang="\2"', page)
    assert offered == [(code, languages.tag(code)) for code in LANGUAGES]
    assert session.hosted_id not in client.get(f"/pay/{other.hosted_id}").text  # one drawing serves both
    german = client.get(f"/pay/{session.hosted_id}?lang=de").text
    assert "Kartennummer" in german and 'aria-current="true">Deutsch' in german
    assert "Kartennummer" in client.get(f"/pay/{other.hosted_id}").text
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "fr"
    assert "Kartennummer" in client.get(f"/pay/{session.hosted_id}").text
    assert "Kartennummer" in client.get(f"/pay/{session.hosted_id}?lang=xx").text
    assert "Numéro de carte" in client.get(f"/pay/{session.hosted_id}?lang=fr").text
    kept_fields = dict(re.findall(r'name="(csrf_token|quote|nonce)"[^>]*value="([^"]+)', german))
    wrong = client.post(f"/pay/{session.hosted_id}/card", data=kept_fields)
    assert wrong.status_code == 422 and f'href="/pay/{session.hosted_id}?lang=nl"' in wrong.text


@on_sqlite
def test_what_came_with_the_address_of_a_link_stays_when_its_language_changes(
    client: FlaskClient, shop: Shop
) -> None:
    link = links.create(shop.actor, LinkDraft("Kübel", "EUR", min_amount=100))
    page = client.get(f"/l/{link.slug}?email=a%40b.example&lang=pl").text
    assert 'href="?email=a%40b.example&amp;lang=nl"' in page


@on_sqlite
def test_the_merchant_names_the_language_of_readers_without_one(client: FlaskClient, shop: Shop) -> None:
    settings.change(shop.actor, {"default_language": "pl"})
    session = shop.session()
    address = f"/pay/{session.hosted_id}"
    assert 'lang="pl"' in client.get(address).text
    for accepts, code in (
        ("sv", "pl"),
        ("*", "pl"),
        ("sv,it;q=0.3", "it"),
        ("en-GB", "en"),
        ("zh-TW", "zh-Hans"),
    ):
        assert f'<html lang="{code}"' in client.get(address, headers={"Accept-Language": accepts}).text
    with pytest.raises(InvalidRequest):
        settings.change(shop.actor, {"default_language": "xx"})


@on_sqlite
def test_the_dashboard_and_the_sandbox_bank_speak_english(client: FlaskClient, shop: Shop) -> None:
    for path in ("/dashboard/sign-in", "/dashboard/nothing", "/sandbox/acs/nothing"):
        said = read(client.get(path, headers={"Accept-Language": "de"}, follow_redirects=True).text)
        assert (said.frame["lang"], "Deutsch" in said.words) == ("en", False), path


def test_amounts_and_plurals_are_the_languages_own() -> None:
    spaced = format_money(123456789, "EUR", "fr")
    assert re.sub(r"\s", " ", spaced) == "1 234 567,89 €"
    for code in LANGUAGES:
        assert "1234" in re.sub(r"[^\d]", "", format_money(1234, "JPY", code))
        for currency, digits in (("JPY", 0), ("XOF", 0), ("EUR", 2), ("KWD", 3)):
            shown = format_money(1234567, currency, code)
            tail = re.search(r"[.,](\d+)\D*$", shown)
            assert (len(tail[1]) if tail and digits else 0) == digits, (code, currency, shown)
    polish = languages.catalogue("pl")
    one, many = "There is a problem", "There are %(num)d problems"
    assert len({polish.ngettext(one, many, count) for count in (1, 2, 5)}) == 3
    assert len({languages.catalogue("ar").ngettext(one, many, count) for count in (1, 2, 3)}) == 3


@on_sqlite
def test_refusals_are_told_by_their_code(app_in: Any) -> None:
    told = {}
    for error in (
        Conflict("Total moved", code="quote_changed"),
        InvalidRequest("Quantity?", field="quantity"),
        ServiceUnavailable("Out"),
        Conflict("A sentence that no catalogue has", code="brand_new"),
    ):
        with app_in("de"):
            told[error.code] = refusals.words(error)
        with app_in("en"):
            assert refusals.words(error) == error.message
    assert told["quote_changed"].startswith("Der Gesamtbetrag hat sich geändert")
    assert told["invalid_request"] == "Geben Sie eine Menge von mindestens 1 ein."
    assert told["service_unavailable"].startswith("Ein Teil des Systems")
    assert told["brand_new"].startswith("Das ist gerade nicht möglich")


@pytest.fixture
def app_in(app: Flask) -> Callable[[str], Any]:
    """A request of a reader of a language."""
    return lambda code: app.test_request_context("/pay/x", headers={"Accept-Language": code})


@on_sqlite
def test_receipts_as_files_are_in_the_readers_language(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is drawn is asked for as texts: fonts are subset, so a file holds no letters to look for."""
    session = shop.session()
    shop.pay(session)
    client.get(f"/pay/{session.hosted_id}/receipt")
    path = f"/receipts/{finalizations.receipts(session)[0].token}.pdf"
    drawn: list[str] = []
    row = receipt_pdf._row
    monkeypatch.setattr(
        receipt_pdf,
        "_row",
        lambda pdf, left, right, **more: (drawn.append(left), row(pdf, left, right, **more)),
    )
    for code, total in (("de", "Gesamtbetrag"), ("ar", "الإجمالي"), ("ja", "合計"), ("zh", "合计")):
        drawn.clear()
        file = client.get(path, headers={"Accept-Language": code})
        assert file.data.startswith(b"%PDF-") and total in drawn, code
