"""Gzip: own files and shoppers' pages for those who take it, the same words; never screens with secrets on them."""

from __future__ import annotations

import gzip

from flask.testing import FlaskClient

from tests.shops import Shop

TAKES = {"Accept-Encoding": "br;q=1.0, gzip;q=0.8"}


def test_what_is_sent_gzipped_and_to_whom(client: FlaskClient, shop: Shop) -> None:
    page = f"/pay/{shop.session().hosted_id}"
    assert "Cookie" in client.get(page).headers["Vary"]
    files = ("/static/css/checkout.css", "/static/embed.js", "/vendor/htmx.js", "/openapi.json")
    for path in (*files, "/docs", page):
        plain, packed = client.get(path), client.get(path, headers=TAKES)
        assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
        assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) / 2.3
        assert "Accept-Encoding" in plain.headers["Vary"] and "Accept-Encoding" in packed.headers["Vary"]
        if path in files:  # they are everybody's: the shopper of that page, too, shares them with all others
            assert (plain.headers["Vary"], packed.headers["Vary"]) == ("Accept-Encoding",) * 2
            assert plain.cache_control.public or path == "/openapi.json"
            assert "Set-Cookie" not in plain.headers
        assert (
            client.get(path, headers={"Accept-Encoding": "gzip;q=0"}).headers.get("Content-Encoding") is None
        )
        if path != page:  # that one has a token of its own each time
            assert gzip.decompress(packed.data) == plain.data
    part = client.get("/static/embed.js", headers={**TAKES, "Range": "bytes=100-"})
    assert (part.status_code, part.headers.get("Content-Encoding")) == (206, None), "a part is of the file"
    etag = client.get("/static/embed.js", headers=TAKES).headers["ETag"]
    assert client.get("/static/embed.js", headers={**TAKES, "If-None-Match": etag}).status_code == 304
    for path in ("/dashboard/sign-in", f"{page}/qr.png", "/static/img/till.svg"):
        assert "Content-Encoding" not in client.get(path, headers=TAKES).headers, path
