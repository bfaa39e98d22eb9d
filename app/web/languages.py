"""Which language a reader gets, and the words in it: looked up once a request, not once a word."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, has_request_context, request
from flask_babel import get_translations
from markupsafe import Markup

#: Languages that have words so far; the first is the fallback.
LANGUAGES = ("en",)


def choose_language() -> str:
    """The best of Accept-Language."""
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def language() -> str:
    """The language of this request."""
    if not has_request_context():
        return LANGUAGES[0]
    if "language" not in g:
        g.language = choose_language()
    return str(g.language)


def install(app: Flask) -> None:
    """Give templates `_()` and `ngettext()` over the request's catalogue (a page has some eighty words)."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
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


def _catalogue() -> Any:
    if "catalogue" not in g:
        g.catalogue = get_translations()
    return g.catalogue
