"""Which version of a thing a caller has read: `If-Match`, or `version` in the body (OP-14)."""

from __future__ import annotations

from flask import request

from app.domain.errors import InvalidRequest


def expected_version(in_body: int | None) -> int | None:
    """The version that the caller has read, from `If-Match` or the body (OP-14).

    Raises:
        InvalidRequest: both are sent and differ, or the header is no entity tag of ours.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return in_body
    text = header.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest("If-Match takes the ETag of what is changed", field="If-Match")
    if in_body is not None and in_body != int(text):
        raise InvalidRequest("If-Match and version differ", field="version")
    return int(text)


def etag(version: int) -> dict[str, str]:
    """The header that says which version an answer shows."""
    return {"ETag": f'"{version}"'}
