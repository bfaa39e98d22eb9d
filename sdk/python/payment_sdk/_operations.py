"""What the API can do, as data: one `Operation` for each endpoint that this client calls."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote

from payment_sdk.errors import ConfigurationError


class Auth(Enum):
    """Which credential a call carries."""

    KEY = "the API key, else the access token"
    X_API_KEY = "the API key in x-api-key"
    TOKEN = "an access token"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint. `keyed` says that it takes an Idempotency-Key, so that a write can be repeated safely.

    `per_minute` is the limit that the API states for it.
    """

    id: str
    method: str
    path: str
    auth: Auth = Auth.KEY
    keyed: bool = True
    per_minute: int | None = None

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    @property
    def repeatable(self) -> bool:
        """Whether the same call twice does no more than once."""
        return self.reads or self.keyed

    def at(self, **ids: str) -> str:
        """The path with its ids.

        Raises:
            ConfigurationError: an id is no text, empty, or would lead to another path.
        """
        for name, value in ids.items():
            if not isinstance(value, str) or value.strip() in ("", ".", ".."):
                raise ConfigurationError(f"{name} is not an id: {value!r}")
        return self.path.format(**{name: quote(value, safe="") for name, value in ids.items()})


#: Every operation by its id in the API's contract.
ALL: dict[str, Operation] = {}


def _declare(method: str, contract_id: str, path: str, declared: dict[str, Any]) -> Operation:
    operation = Operation(contract_id, method, path, **declared)
    if ALL.setdefault(contract_id, operation) is not operation:
        raise ValueError(f"{contract_id} is declared twice")
    return operation


def get(contract_id: str, path: str, **declared: Any) -> Operation:
    """Declare a read."""
    return _declare("GET", contract_id, path, declared)


def post(contract_id: str, path: str, **declared: Any) -> Operation:
    """Declare a write."""
    return _declare("POST", contract_id, path, declared)


def patch(contract_id: str, path: str, **declared: Any) -> Operation:
    """Declare a change."""
    return _declare("PATCH", contract_id, path, declared)


def delete(contract_id: str, path: str, **declared: Any) -> Operation:
    """Declare a removal."""
    return _declare("DELETE", contract_id, path, declared)
