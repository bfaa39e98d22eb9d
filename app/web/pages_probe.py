"""Opening a page of this process, as a browser would, without the network."""

from __future__ import annotations

from collections.abc import Callable

from flask import current_app
from werkzeug.test import Client

from app import settings


def opener() -> Callable[[str], int]:
    """What opens a path and tells the HTTP status; it may be called from another thread."""
    client = Client(current_app.wsgi_app)
    base = settings.current().base_url

    def open_page(path: str) -> int:
        return client.get(path, base_url=base).status_code

    return open_page
