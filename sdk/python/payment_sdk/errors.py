"""Everything that can go wrong, as a tree.

    PaymentError
    ├── ConfigurationError              the client was set up in a way that cannot work
    ├── SignatureError                  a webhook that is not signed as it should be
    ├── InvalidResponseError            an answer that is not what this API says
    ├── APIConnectionError              no answer came; `sent` says whether the request may have arrived
    │   └── APITimeoutError
    └── APIError                        the API answered no
        ├── InvalidRequestError         400
        ├── AuthenticationError         401
        │   └── MFARequiredError        401  a person has to confirm with a second factor
        ├── PermissionDeniedError       403
        │   └── TenantMismatchError     403
        ├── NotFoundError               404
        ├── ConflictError               409
        │   ├── InvalidStateError       409
        │   ├── VersionConflictError    409  somebody else changed it first: read it again
        │   └── IdempotencyInProgressError
        ├── UnprocessableError          422  understood, and refused by a rule
        │   └── IdempotencyKeyReusedError
        ├── RateLimitError              429  also raised before a call is sent; see `sent`
        └── ServerError                 5xx
            └── ServiceUnavailableError 503

A payment that is declined is no error: it is an answer, with `last_error` on the intent.
Some faces of the API say 400 where the others say 409 or 422; the class follows the code where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class PaymentError(Exception):
    """Whatever this package raises; it travels between processes whole."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


class ConfigurationError(PaymentError, ValueError):
    """The client was set up, or an argument given, in a way that cannot work; nothing was sent."""


class SignatureError(PaymentError):
    """A webhook whose signature is missing, wrong or too old: do not act on it."""


class InvalidResponseError(PaymentError):
    """An answer that cannot be read: not JSON, or without what it should have."""


class APIConnectionError(PaymentError):
    """No answer came; `sent` is whether the request may have reached the API all the same."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class APITimeoutError(APIConnectionError):
    """No answer came in time."""


class APIError(PaymentError):
    """The API answered no. `code` is for programs, the message for people, `request_id` for whoever helps."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.body: Mapping[str, Any] = body or {}

    @property
    def explain(self) -> Mapping[str, Any]:
        """What a program may act on."""
        found = self.body.get("explain")
        return found if isinstance(found, dict) else {}

    @property
    def field(self) -> str | None:
        """Where in the request the trouble is."""
        found = self.body.get("field")
        return found if isinstance(found, str) else None

    def __str__(self) -> str:
        facts = [f"status {self.status}"]
        facts += [f"code {self.code}"] if self.code else []
        facts += [f"request {self.request_id}"] if self.request_id else []
        return f"{self.message} ({', '.join(facts)})"


class InvalidRequestError(APIError):
    """Malformed or incomplete; `field` names the place."""


class AuthenticationError(APIError):
    """No credential, or not a good one."""


class MFARequiredError(AuthenticationError):
    """A person has to confirm: answer `challenge_id` with `client.mfa.verify`, then call with its token."""

    @property
    def challenge_id(self) -> str | None:
        """What `client.mfa.verify` takes."""
        found = self.body.get("challengeId")
        return found if isinstance(found, str) else None

    @property
    def action(self) -> str | None:
        """What the second factor is wanted for."""
        found = self.body.get("action")
        return found if isinstance(found, str) else None

    @property
    def enrollment_required(self) -> bool:
        """Whether this person has no second factor yet."""
        return self.body.get("enrollmentRequired") is True


class PermissionDeniedError(APIError):
    """The credential is good and may not do this."""


class TenantMismatchError(PermissionDeniedError):
    """The credential belongs to another tenant than `tenant_id`."""


class NotFoundError(APIError):
    """There is no such thing for this merchant and mode."""


class ConflictError(APIError):
    """It cannot be done as things stand."""


class InvalidStateError(ConflictError):
    """Its status does not allow this."""


class VersionConflictError(ConflictError):
    """It changed since it was read."""


class IdempotencyInProgressError(ConflictError):
    """A request with this idempotency key is still running."""


class UnprocessableError(APIError):
    """Understood, and refused by a rule of the business."""


class IdempotencyKeyReusedError(UnprocessableError):
    """This idempotency key was used with another request."""


class RateLimitError(APIError):
    """Too many requests; `sent` is False when the client itself held the call back."""

    sent = True


class ServerError(APIError):
    """Something went wrong on the API's side."""


class ServiceUnavailableError(ServerError):
    """Nothing was done; try again later."""


_BY_STATUS: dict[int, type[APIError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableError,
    429: RateLimitError,
    503: ServiceUnavailableError,
}
#: Codes with a class of their own, whatever the status and the spelling of the surface.
_BY_CODE: dict[str, type[APIError]] = {
    "mfa_challenge_required": MFARequiredError,
    "tenant_mismatch": TenantMismatchError,
    "invalid_state": InvalidStateError,
    "version_conflict": VersionConflictError,
    "idempotency_in_progress": IdempotencyInProgressError,
    "idempotency_key_reused": IdempotencyKeyReusedError,
    "rate_limit_exceeded": RateLimitError,
}


def of_answer(
    status: int, body: Any, *, request_id: str | None = None, retry_after: float | None = None
) -> APIError:
    """The error that an answer stands for, whichever of the four error bodies it has."""
    said: dict[str, Any] = body if isinstance(body, dict) else {}
    texts = (said.get("error"), said.get("message"), said.get("msg"))
    message = next((text for text in texts if isinstance(text, str)), f"The API answered {status}")
    code = said.get("code") if isinstance(said.get("code"), str) else None
    kind = _BY_CODE.get((code or "").lower()) or _BY_STATUS.get(status)
    if kind is None:
        kind = ServerError if status >= 500 else APIError
    named = said["request_id"] if isinstance(said.get("request_id"), str) else request_id
    return kind(message, status=status, code=code, request_id=named, retry_after=retry_after, body=said)


def _again(kind: type[PaymentError], args: tuple[Any, ...], facts: dict[str, Any]) -> PaymentError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error
