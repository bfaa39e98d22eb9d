"""Stripe's error answers, in the shape of its API."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is an error: status and the `error` object."""

    def __init__(self, status: int, kind: str, code: str | None = None, message: str = "", **more: Any):
        super().__init__(message or code)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": message or code, **more}}


def invalid(code: str | None, message: str = "", status: int = 400, **more: Any) -> ApiError:
    """An invalid request."""
    return ApiError(status, "invalid_request_error", code, message, **more)


def missing(kind: str, object_id: str) -> ApiError:
    """No such object in this account."""
    return invalid("resource_missing", f"No such {kind}: '{object_id}'", 404, param="id")
