"""Fewer bytes on the way: own files and shoppers' pages go out gzipped (docs/adr/0035).

Screens of the dashboard are not: they show secrets beside what an address can make them repeat, and how long
a compressed answer is tells of both.
"""

from __future__ import annotations

import gzip
import zlib
from functools import lru_cache

from flask import Flask, Response, request

#: Blueprints whose pages are compressed.
_PAGES = frozenset({"checkout", "links", "embed", "receipts", "returns", "docs"})
_FILES = ("text/css", "text/javascript", "application/javascript", "image/svg+xml", "application/json")
#: Below this a compressed answer is hardly shorter.
_WORTH_IT = 600
#: Pages are made for one reader, so that speed counts; files and documentation are compressed once a process.
_PAGE_LEVEL, _FILE_LEVEL = 1, 9


def install(app: Flask) -> None:
    """Compress what is worth it, of whoever asked for it."""

    @app.after_request
    def _compress(response: Response) -> Response:
        is_file = request.endpoint in ("static", "vendor", "openapi")
        kinds = _FILES if is_file else ("text/html",)
        if response.mimetype not in kinds or not (is_file or request.blueprint in _PAGES):
            return response
        response.vary.add("Accept-Encoding")
        takes = request.accept_encodings["gzip"] > 0 and request.method == "GET"
        if not takes or response.status_code != 200 or (response.is_streamed and not is_file):
            return response
        response.direct_passthrough = False
        content = response.get_data()
        if len(content) >= _WORTH_IT:
            always_same = is_file or request.blueprint == "docs"
            response.set_data(_file(content) if always_same else _page(content))
            response.headers["Content-Encoding"] = "gzip"
            response.headers.pop("Accept-Ranges", None)  # a part of it is no part of these bytes
            tag, _ = response.get_etag()
            if tag:
                response.set_etag(tag, weak=True)  # the same words in other bytes
        return response


def _page(content: bytes) -> bytes:
    squeezer = zlib.compressobj(_PAGE_LEVEL, wbits=31)
    return squeezer.compress(content) + squeezer.flush()


@lru_cache(maxsize=64)
def _file(content: bytes) -> bytes:
    return gzip.compress(content, _FILE_LEVEL, mtime=0)
