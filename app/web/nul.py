"""NUL characters in addresses and forms: no text that we keep may hold one, so nothing is asked for with one.

PostgreSQL refuses them in the middle of a query. JSON bodies are looked at by kit/strict_json.py.
"""

from __future__ import annotations

from flask import Flask, request

from app.domain.errors import InvalidRequest


def install(app: Flask) -> None:
    """Refuse such requests before anything is done; forms are those of pages, whose fields alone come so."""

    @app.before_request
    def refuse() -> None:
        if "\x00" in request.path or b"%00" in request.query_string:
            raise InvalidRequest("The address holds a NUL character", code="invalid_text")
        api = (request.blueprint or "").startswith("api_")
        if not api and any("\x00" in text for _, text in request.form.items(multi=True)):
            raise InvalidRequest("The form holds a NUL character", code="invalid_text")
