"""What a screen offers to do: its forms and links, against what the routes that they lead to want."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from app.web import opens
from app.web.opens import Door

#: Attributes that lead on when they are pressed, and the method by which they do.
_LEADS = {"href": "GET", "hx-get": "GET", "hx-post": "POST"}


class _Reader(HTMLParser):
    """Collects where a page's forms, buttons and links lead: (method, address)."""

    def __init__(self, here: str) -> None:
        super().__init__()
        self._here, self._form = here, ("GET", here)
        self.found: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this element leads to."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = (given.get("method", "get").upper(), given.get("action") or self._here)
            self._add(*self._form)
        if "formaction" in given:
            self._add(given.get("formmethod", self._form[0]).upper(), given["formaction"])
        for name, method in _LEADS.items():
            if name in given and tag != "link":
                self._add(method, given[name])

    def _add(self, method: str, address: str) -> None:
        path = urlsplit(urljoin(self._here, address))
        if not path.netloc and path.path.startswith("/dashboard"):
            self.found.add((method, path.path))


def offered(html: str, here: str) -> set[tuple[str, str]]:
    """(method, path) of all that a page leads to on the dashboard."""
    reader = _Reader(here)
    reader.feed(html)
    return reader.found


def beyond(app: Flask, answer: TestResponse, held: frozenset[str]) -> list[str]:
    """What a page offers to somebody that is not there, or that they may not do."""
    if answer.status_code >= 500:
        return [f"nothing but {answer.status_code}"]
    if answer.status_code != 200 or answer.mimetype != "text/html":
        return []
    wrong, urls = [], app.url_map.bind("")
    for method, path in sorted(offered(answer.text, answer.request.path)):
        try:
            endpoint, _ = urls.match(path, method)
        except HTTPException as nowhere:
            wrong.append(f"{method} {path}, which is {nowhere.code}")
            continue
        door = opens.declared(app.view_functions[endpoint])
        wanted = door.permission if isinstance(door, Door) else None
        if wanted is not None and not {wanted, "*"} & held:
            wrong.append(f"{method} {path}, which wants {wanted}")
    return wrong
