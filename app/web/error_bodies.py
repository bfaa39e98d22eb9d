"""Error bodies, one for each way that the contract writes them (OP-10)."""

from __future__ import annotations

from typing import Any

from app.domain.errors import DomainError, RateLimited


def lower(error: DomainError, request_id: str) -> dict[str, Any]:
    """Checkout and payments: `{error, code, explain?, field?, request_id}`."""
    body: dict[str, Any] = {"error": error.message, "code": error.code}
    if error.explain:
        body["explain"] = error.explain
    if error.field:
        body["field"] = error.field
    body["request_id"] = request_id
    return body


def upper(error: DomainError, request_id: str) -> dict[str, Any]:
    """Merchant: `{error, code}` in upper case; 429 says when to come back."""
    known = {"not_found": "RESOURCE_NOT_FOUND", "link_not_payable": "LINK_NOT_PAYABLE"}
    code = known.get(error.code) or error.code.upper()
    if error.http_status == 404:
        code = "RESOURCE_NOT_FOUND"
    body: dict[str, Any] = {"error": error.message, "code": code}
    if isinstance(error, RateLimited):
        body["retryAfter"] = error.retry_after
    return body


def numbered(error: DomainError, request_id: str) -> dict[str, Any]:
    """Sessions: `{statusCode, message}`, where refusals of rules and of states are 400 too."""
    status = 400 if error.http_status in (409, 422) else error.http_status
    if error.code == "method_not_allowed":
        return {"statusCode": 405, "message": "Checkout sessions are immutable"}
    return {"statusCode": status, "message": error.message}
