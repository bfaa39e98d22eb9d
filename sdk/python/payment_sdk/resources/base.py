"""What every resource shares: how its calls are made and their answers read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from payment_sdk._caller import Caller
from payment_sdk._models import Model
from payment_sdk._operations import Operation
from payment_sdk.errors import ConfigurationError, InvalidResponseError
from payment_sdk.pages import Page
from payment_sdk.params import UNSET

M = TypeVar("M", bound=Model)


class Resource:
    """A noun of the API."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def _one(
        self,
        operation: Operation,
        returns: type[M],
        path: str | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> M:
        """The answer to a call, as a model."""
        reply = self._caller.call(
            operation, path or operation.path, query=query, body=body, idempotency_key=key
        )
        return returns.of(reply.value, reply.info)

    def _nothing(
        self,
        operation: Operation,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        """A call that answers nothing worth knowing."""
        self._caller.call(operation, path, query=query, body=body, idempotency_key=key)

    def _page(
        self,
        operation: Operation,
        returns: type[M],
        path: str | None = None,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> Page[M]:
        """A page of a list; the next ones ask the same."""
        asked = dict(query or {})
        reply = self._caller.call(operation, path or operation.path, query=asked)
        value = reply.value
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise InvalidResponseError("Not a page of a list")

        def turn(cursor: str) -> Page[M]:
            return self._page(operation, returns, path, query={**asked, "cursor": cursor})

        rows = [returns.of(row, reply.info) for row in value["data"]]
        return Page(rows, bool(value.get("has_more")), value.get("next_cursor"), turn)


def given(**fields: Any) -> dict[str, Any]:
    """What was given, as it goes out: nothing that is None, instants and days as the API has them."""
    return {name: _plain(value) for name, value in fields.items() if value is not None}


def changes(**fields: Any) -> dict[str, Any]:
    """What is to change, as it goes out: None takes a thing away, UNSET leaves it."""
    return {name: _plain(value) for name, value in fields.items() if value is not UNSET}


def major(amount: Decimal | float | None) -> float | int | None:
    """An amount in major units as a JSON number.

    Raises:
        ConfigurationError: it is no number, or has more digits than a JSON number keeps.
    """
    if amount is None or (isinstance(amount, int) and not isinstance(amount, bool)):
        return amount
    if isinstance(amount, bool) or not isinstance(amount, (Decimal, float)):
        raise ConfigurationError("amount is a Decimal, an int or a float")
    number = float(amount)
    if isinstance(amount, Decimal) and Decimal(repr(number)) != amount:
        raise ConfigurationError(f"amount has too many digits: {amount}")
    return number


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigurationError("A datetime needs its time zone, for example datetime.now(UTC)")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value
