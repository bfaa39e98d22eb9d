"""Error bodies, one for each way that the contract writes them (OP-10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.domain.errors import DomainError, MfaRequired, RateLimited, Unauthenticated


def lower(error: DomainError, request_id: str) -> dict[str, Any]:
    """Checkout and payments: `{error, code, explain?, field?, request_id}`, and what the error adds."""
    body: dict[str, Any] = {"error": error.message, "code": error.code, **error.extra}
    if error.explain:
        body["explain"] = error.explain
    if error.field:
        body["field"] = error.field
    body["request_id"] = request_id
    return body


def upper(error: DomainError, request_id: str) -> dict[str, Any]:
    """Merchant: `{error, code}` in upper case; 429 says when to come back."""
    known = {"refund_exceeds_captured": "INVALID_AMOUNT"}
    code = "RESOURCE_NOT_FOUND" if error.http_status == 404 else known.get(error.code) or error.code.upper()
    body: dict[str, Any] = {"error": error.message, "code": code}
    if isinstance(error, RateLimited):
        body["retryAfter"] = error.retry_after
    if isinstance(error, MfaRequired):
        body |= error.explain or {}
    return body


def numbered(error: DomainError, request_id: str) -> dict[str, Any]:
    """Sessions: `{statusCode, message}`, where refusals of rules and of states are 400 too."""
    status = 400 if error.http_status in (409, 422) else error.http_status
    if error.code == "method_not_allowed":
        return {"statusCode": 405, "message": "Checkout sessions are immutable"}
    return {"statusCode": status, "message": error.message}


def short(error: DomainError, request_id: str) -> dict[str, Any]:
    """Orders: `{error}`, and `{msg}` where it is the credential that is wrong (OP-71)."""
    if isinstance(error, Unauthenticated):
        words = {"missing": "Missing Authorization Header", "expired": "Token has expired"}
        return {"msg": words.get(error.problem or "", "Invalid token")}
    if error.code == "missing_field":
        return {"error": f"Missing required field: {error.field}"}
    if error.field and error.code in ("invalid_field", "invalid_json"):
        return {"error": f"Invalid value for field: {error.field.strip('/').replace('/', '.')}"}
    return {"error": error.message}


_TEXT = {"type": "string"}

#: The JSON Schema of each body, for the OpenAPI document.
SCHEMAS: dict[Callable[[DomainError, str], dict[str, Any]], dict[str, Any]] = {
    lower: {
        "type": "object",
        "required": ["error", "code", "request_id"],
        "properties": {
            "error": {**_TEXT, "description": "For people"},
            "code": {**_TEXT, "description": "For programs; it does not change"},
            "explain": {"type": "object", "description": "What a program may act on"},
            "field": {**_TEXT, "description": "Where the trouble is: a dotted path or a JSON pointer"},
            "request_id": _TEXT,
            "status": {**_TEXT, "description": "`failed`, where a checkout could not be finalised"},
            "failure_reasons": {
                "type": "array",
                "description": "What a person has to sort out first: code, reason, message, explain",
                "items": {"type": "object"},
            },
        },
    },
    upper: {
        "type": "object",
        "required": ["error", "code"],
        "properties": {
            "error": _TEXT,
            "code": {**_TEXT, "pattern": "^[A-Z0-9_]+$"},
            "retryAfter": {"type": "integer", "minimum": 1, "description": "Seconds, on 429"},
            "challengeId": {**_TEXT, "description": "What POST /api/v1/mfa/verify answers"},
            "action": {**_TEXT, "description": "What the second factor is wanted for"},
            "enrollmentRequired": {"type": "boolean"},
        },
    },
    numbered: {
        "type": "object",
        "required": ["statusCode", "message"],
        "properties": {"statusCode": {"type": "integer"}, "message": _TEXT},
        "additionalProperties": False,
    },
    short: {
        "type": "object",
        "properties": {"error": _TEXT, "msg": {**_TEXT, "description": "On 401, in place of `error`"}},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    },
}
