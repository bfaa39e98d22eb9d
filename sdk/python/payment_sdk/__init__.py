"""A merchant's client of Till.

from payment_sdk import PaymentClient

client = PaymentClient(api_key="sk_test_…", tenant_id="…", base_url="https://pay.example.com")
session = client.checkout.create(amount=10000, currency="USD", reference="order_123")
print(session.redirect_url)
"""

from payment_sdk import errors, webhooks
from payment_sdk._limiter import RateLimits
from payment_sdk._version import __version__
from payment_sdk.client import PaymentClient
from payment_sdk.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    IdempotencyInProgressError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    InvalidResponseError,
    InvalidStateError,
    MFARequiredError,
    NotFoundError,
    PaymentError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    SignatureError,
    TenantMismatchError,
    UnprocessableError,
    VersionConflictError,
)
from payment_sdk.pages import OffsetPage, Page
from payment_sdk.transport import HTTPTransport, Timeout, Transport

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AuthenticationError",
    "ConfigurationError",
    "ConflictError",
    "HTTPTransport",
    "IdempotencyInProgressError",
    "IdempotencyKeyReusedError",
    "InvalidRequestError",
    "InvalidResponseError",
    "InvalidStateError",
    "MFARequiredError",
    "NotFoundError",
    "OffsetPage",
    "Page",
    "PaymentClient",
    "PaymentError",
    "PermissionDeniedError",
    "RateLimitError",
    "RateLimits",
    "ServerError",
    "ServiceUnavailableError",
    "SignatureError",
    "TenantMismatchError",
    "Timeout",
    "Transport",
    "UnprocessableError",
    "VersionConflictError",
    "__version__",
    "errors",
    "webhooks",
]
