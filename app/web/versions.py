"""Versions of resources in requests and answers: `ETag`, `If-Match`, or `version` in the body (OP-14)."""

from __future__ import annotations

from flask import request

from app.domain.errors import InvalidRequest


def expected(in_body: int | None) -> int | None:
    """The version that the caller has read, or None where it did not say.

    Raises:
        InvalidRequest: both are sent and differ, or the header is no entity tag of ours.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return in_body
    text = header.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest("If-Match takes the ETag of what was read", field="If-Match")
    if in_body is not None and in_body != int(text):
        raise InvalidRequest("If-Match and version differ", field="version")
    return int(text)


def etag(version: int) -> dict[str, str]:
    """The header that names a version."""
    return {"ETag": f'"{version}"'}
