"""Which language a reader gets, and the words in it: looked up once a request, not once a word.

Shoppers read their own language; the dashboard, the sandbox's bank and the documentation are in English
(docs/adr/0034). Catalogues are read as they are kept (`app/translations/<code>/LC_MESSAGES/messages.po`),
each when the first reader of its language comes: nothing has to be compiled.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, g, has_request_context, request, session
from flask_babel import Babel, Domain, refresh
from markupsafe import Markup

from app.domain.languages import FALLBACK, LANGUAGES
from app.domain.rules.cards import holds_card_number

CATALOGUES = Path(__file__).resolve().parents[1] / "translations"

#: Blueprints whose pages are for shoppers; so are errors at addresses that nothing answers.
_SHOPPERS = frozenset({"checkout", "links", "embed", "receipts", "returns"})
#: The field with a frame's language in each of its forms.
CARRIED = "embed_language"
#: What the `lang` attribute says, where the code alone leaves the script open.
_TAGS = {"zh": "zh-Hans"}


def language() -> str:
    """The language of this request."""
    if not has_request_context():
        return FALLBACK
    if "language" not in g:
        g.language = _chosen() or FALLBACK
    return str(g.language)


def fall_back_to(code: str) -> None:
    """Speak the merchant's language, unless the reader chose one or their browser named one that we have."""
    if code in LANGUAGES and code != language() and speaks_to_shoppers() and _chosen() is None:
        speak(code)


def speak(code: str) -> None:
    """Go on in this language, to the end of the request."""
    g.language = code
    g.pop("catalogue", None)
    refresh()


def speaks_to_shoppers() -> bool:
    """Whether this request's page is one that is translated."""
    if request.blueprint is None:
        return request.url_rule is None and not request.path.startswith(("/dashboard", "/docs", "/sandbox"))
    return request.blueprint in _SHOPPERS


def _chosen() -> str | None:
    """What the reader picked, now or before (a session keeps it), or the best of Accept-Language.

    For a frame the page around it picks; no cookie keeps that, so the frame's forms carry it.
    """
    if not speaks_to_shoppers():
        return None
    asked = request.args.get("lang", "")
    if asked in LANGUAGES:
        if request.blueprint != "embed" and session.get("language") != asked:
            session["language"] = asked
        return asked
    carried = request.form.get(CARRIED, "") if request.method == "POST" else ""
    if carried in LANGUAGES:
        return carried
    kept = session.get("language")
    if kept in LANGUAGES:
        return str(kept)
    wanted = (tag.replace("_", "-").partition("-")[0].lower() for tag in request.accept_languages.values())
    return next((code for code in wanted if code in LANGUAGES), None)


def tag(code: str) -> str:
    """A language as HTML's `lang` names it."""
    return _TAGS.get(code, code)


@cache
def direction(code: str) -> str:
    """`ltr` or `rtl`."""
    return Locale.parse(code).text_direction


def picker() -> list[dict[str, Any]]:
    """The languages to choose from, each with the address of this page in it; empty where there is no choice.

    Addresses are relative where they can be: pages that are drawn once for many sessions show them too.
    """
    where = _page() if speaks_to_shoppers() else None
    if where is None:
        return []
    kept = {} if request.blueprint == "checkout" else {**request.args.to_dict(), "lang": ""}
    kept = {name: text for name, text in kept.items() if not holds_card_number(text)}
    return [
        {
            "code": tag(code),
            "name": name,
            "url": f"{where}?{urlencode({**kept, 'lang': code})}",
            "current": code == language(),
        }
        for code, name in LANGUAGES.items()
    ]


def _page() -> str | None:
    """Where this page can be had by GET: empty, where it is this very address."""
    if request.blueprint in ("returns", "embed") or "frame" in g:
        return None  # an address that works once, or a frame, which has no address of its own
    if request.method in ("GET", "HEAD"):
        return ""
    if request.blueprint == "checkout" and request.view_args:
        return f"/pay/{request.view_args['hosted_id']}"
    return request.path if request.blueprint == "links" else None


class Catalogues(Domain):  # type: ignore[misc]
    """Where Flask-Babel's functions find their words."""

    def get_translations(self) -> NullTranslations:
        """The catalogue of this request's language."""
        return catalogue(language())


@cache
def catalogue(code: str) -> NullTranslations:
    """A language's words with its own plural forms; English ones stand in the code."""
    if code == FALLBACK:
        return NullTranslations()
    compiled = BytesIO()
    with (CATALOGUES / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=code))
    compiled.seek(0)
    return Translations(compiled)


def install(app: Flask) -> None:
    """Give templates `_()` and `ngettext()` over the request's catalogue (a page has some eighty words)."""
    babel = Babel(app, locale_selector=language)
    babel.domain_instance = Catalogues()
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: _catalogue().gettext(text),
        lambda one, many, count: _catalogue().ngettext(one, many, count),
        newstyle=True,
    )
    app.jinja_env.globals["_"] = translate


def translate(text: str, **variables: Any) -> Markup:
    """`_()` of the templates: the words are our own markup, what is filled into them is escaped."""
    key = (language(), text)
    words = _WORDS.get(key)
    if words is None:
        words = _WORDS[key] = Markup(_catalogue().gettext(text))  # noqa: S704 - catalogues are ours
    return words % variables


#: (language, text) → words; as many as the templates have.
_WORDS: dict[tuple[str, str], Markup] = {}


def _catalogue() -> NullTranslations:
    if "catalogue" not in g:
        g.catalogue = catalogue(language())
    return g.catalogue  # type: ignore[no-any-return]
