"""Which language a reader gets."""

from __future__ import annotations

from flask import request

#: Languages that have words so far; the first is the fallback.
LANGUAGES = ("en",)


def choose_language() -> str:
    """The best of Accept-Language."""
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]
