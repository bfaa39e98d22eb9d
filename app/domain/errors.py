"""Everything that can go wrong in a way that a caller should be told.

    DomainError                         500
    ├── InvalidRequest                  400  malformed: names the field
    ├── Unauthenticated                 401
    │   └── MfaRequired                 401  a second factor is due for this action
    ├── PermissionDenied                403
    │   └── TenantMismatch              403
    ├── NotFound                        404  unknown, or another merchant's
    ├── Conflict                        409
    │   ├── InvalidState                409  the lifecycle has no such step from here
    │   ├── VersionConflict             409  somebody else changed it first
    │   └── IdempotencyInProgress       409  the same key is being worked on
    ├── Gone                            410
    ├── PayloadTooLarge                 413
    ├── UnsupportedMediaType            415
    ├── Unprocessable                   422  understood, and refused by a rule
    ├── RateLimited                     429  with the seconds until a slot is free
    └── ServiceUnavailable              503  try again later; nothing was done
        └── ProviderUnavailable         503  a system that the checkout asks gave no usable answer

Services raise these; one handler of the web floor lets the surface render its own body (OP-10).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar


class DomainError(Exception):
    """An error with a stable `code`, a message for people, and an `explain` payload for programs."""

    http_status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"
    default_message: ClassVar[str] = "Something went wrong on our side"
    #: What stands beside `error` and `code` in the bodies of the checkout and payments surfaces.
    extra: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        explain: dict[str, Any] | None = None,
        field: str | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.code = code or self.default_code
        self.explain = explain
        self.field = field
        super().__init__(self.message)


class InvalidRequest(DomainError):
    """Malformed or incomplete; `field` is a dotted path or JSON pointer."""

    http_status = 400
    default_code = "invalid_request"
    default_message = "The request is not valid"


class Unauthenticated(DomainError):
    """No credential, or not a good one; `problem` is `missing` or `expired`, where it is one of these."""

    http_status = 401
    default_code = "unauthenticated"
    default_message = "Authentication required"

    def __init__(self, message: str | None = None, *, problem: str | None = None, **more: Any) -> None:
        super().__init__(message, **more)
        self.problem = problem


class MfaRequired(Unauthenticated):
    """The action wants a fresh second factor."""

    default_code = "mfa_challenge_required"
    default_message = "MFA required"


class PermissionDenied(DomainError):
    """Authenticated, and not allowed to."""

    http_status = 403
    default_code = "insufficient_permissions"
    default_message = "You may not do this"


class TenantMismatch(PermissionDenied):
    """The credential belongs to another merchant than the one that the request names."""

    default_code = "tenant_mismatch"
    default_message = "The credential belongs to another tenant"


class NotFound(DomainError):
    """There is no such thing for this merchant and mode."""

    http_status = 404
    default_code = "not_found"
    default_message = "Not found"


class Conflict(DomainError):
    """It cannot be done as things stand."""

    http_status = 409
    default_code = "conflict"
    default_message = "This cannot be done now"


class InvalidState(Conflict):
    """The thing is not in a status that allows this."""

    default_code = "invalid_state"
    default_message = "Its status does not allow this"


class VersionConflict(Conflict):
    """It changed since it was read."""

    default_code = "version_conflict"
    default_message = "It was changed by somebody else; read it again"


class IdempotencyInProgress(Conflict):
    """The same idempotency key is still being worked on."""

    default_code = "idempotency_in_progress"
    default_message = "A request with this Idempotency-Key is still running"

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__()
        self.retry_after = retry_after


class Gone(DomainError):
    """It existed, and is over."""

    http_status = 410
    default_code = "gone"
    default_message = "This is no longer available"


class PayloadTooLarge(DomainError):
    """The body is over the limit."""

    http_status = 413
    default_code = "payload_too_large"
    default_message = "The body is too large"


class UnsupportedMediaType(DomainError):
    """The body is not JSON."""

    http_status = 415
    default_code = "unsupported_media_type"
    default_message = "Send application/json"


class Unprocessable(DomainError):
    """Understood, and refused by a rule of the business."""

    http_status = 422
    default_code = "unprocessable"
    default_message = "This is not possible"


class RateLimited(DomainError):
    """Too many requests; `retry_after` is whole seconds until a slot is free."""

    http_status = 429
    default_code = "rate_limit_exceeded"
    default_message = "Rate limit exceeded"

    def __init__(
        self,
        retry_after: int,
        message: str | None = None,
        *,
        code: str | None = None,
        explain: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, explain={"retry_after": retry_after, **(explain or {})})
        self.retry_after = retry_after


class ServiceUnavailable(DomainError):
    """Nothing was done; try again later."""

    http_status = 503
    default_code = "service_unavailable"
    default_message = "Please try again in a moment"
    #: Seconds after which trying again makes sense.
    retry_after = 2


class ProviderUnavailable(ServiceUnavailable):
    """A provider of the merchant's own gave no usable answer; `problem` says why in a few words."""

    default_code = "provider_unavailable"

    def __init__(self, provider: str, problem: str) -> None:
        super().__init__(explain={"reason": "provider_unavailable", "provider": provider, "problem": problem})
        self.provider, self.problem = provider, problem
