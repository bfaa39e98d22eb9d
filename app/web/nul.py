"""NUL characters in addresses and forms: no text that we keep may hold one, so nothing is asked for with one.

PostgreSQL refuses them in the middle of a query. JSON bodies are looked at by kit/strict_json.py.
"""

from __future__ import annotations

from flask import Flask, request

from app.domain.errors import InvalidRequest


def install(app: Flask) -> None:
    """Refuse such requests before anything is done."""

    @app.before_request
    def refuse() -> None:
        if "\x00" in request.path or b"%00" in request.query_string:
            raise InvalidRequest("The address holds a NUL character", code="invalid_text")
        if _has_form() and any("\x00" in text for pair in request.form.items(multi=True) for text in pair):
            raise InvalidRequest("The form holds a NUL character", code="invalid_text")


def _has_form() -> bool:
    """Whether a form has to be looked at; files that come to the API are read by their endpoint alone."""
    if request.mimetype == "application/x-www-form-urlencoded":
        request.get_data()  # kept, so that an endpoint of JSON can still see what it was sent
        return True
    return request.mimetype == "multipart/form-data" and not (request.blueprint or "").startswith("api_")
