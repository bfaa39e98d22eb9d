"""Amounts of this surface: whatever is wrong with one, the contract has a single answer (INVALID_AMOUNT)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from app.domain import money
from app.domain.errors import InvalidRequest


def _amount(value: Any) -> int:
    """Minor units; not a `ValueError`, so that it is the answer whatever else is wrong with the body."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, bool) or not isinstance(whole, int) or not 0 < whole <= money.MAX_AMOUNT:
        raise InvalidRequest("Valid amount is required", code="invalid_amount", field="amount")
    return whole


#: A positive amount in minor units; the field has to come first in its body.
Amount = Annotated[
    int,
    BeforeValidator(_amount),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": money.MAX_AMOUNT}),
]
#: The same where it may be left out.
MaybeAmount = Annotated[
    int | None,
    BeforeValidator(lambda value: None if value is None else _amount(value)),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": money.MAX_AMOUNT}, {"type": "null"}]}
    ),
]
