"""Card options of an intent: how it is captured, and whether 3-D Secure is asked for (OP-24)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import Unprocessable

_MODES = {"automatic": "auto", "manual": "manual"}


def capture_mode(said: str | None, options: Mapping[str, Any]) -> str | None:
    """The capture mode that `capture_mode` and `payment_method_options.card.capture_method` agree on.

    None where neither says anything.

    Raises:
        Unprocessable: they contradict each other.
    """
    method = _MODES.get(str(_card(options).get("capture_method")))
    if said and method and said != method:
        raise Unprocessable(
            "capture_mode and capture_method contradict each other",
            code="capture_mode_conflict",
            field="capture_mode",
        )
    return said or method


def wants_three_ds(options: Mapping[str, Any]) -> bool:
    """Whether 3-D Secure is asked for whatever the card wants."""
    return bool(_card(options).get("request_three_d_secure") == "any")


def _card(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return options.get("card") or {}
