"""What has happened to a thing, as the timeline at the end of its screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain import money
from app.models.events.journal import JournalEntry

_TONES = {
    "succeeded": "success",
    "won": "success",
    "paid": "success",
    "delivered": "success",
    "failed": "danger",
    "lost": "danger",
    "needs_response": "warning",
    "past_due": "warning",
}

_WHO = {"user": "Somebody of your team", "api_key": "An API key", "system": "Till"}


def lines(entries: Sequence[JournalEntry]) -> list[dict[str, Any]]:
    """Entries of the journal, the newest first."""
    return [_line(entry) for entry in reversed(entries)]


def _line(entry: JournalEntry) -> dict[str, Any]:
    happened = entry.type if entry.entity == "customer" else entry.type.partition(".")[2] or entry.type
    return {
        "title": happened.replace(".", ": ").replace("_", " ").capitalize(),
        "at": entry.created_at,
        "tone": _TONES.get(entry.to_status or "", "neutral"),
        "detail": _detail(entry),
        "actor": _WHO.get(entry.actor_kind, entry.actor_kind),
    }


def _detail(entry: JournalEntry) -> str | None:
    """Why, where somebody said so."""
    after = entry.data.get("after") or {}
    said = after.get("reason") if entry.entity == "stock_item" else after.get("note")
    if entry.entity == "stock_item" and "on_hand" in after:
        before = (entry.data.get("before") or {}).get("on_hand")
        moved = f"{before} → {after['on_hand']}" if before is not None else f"{after['on_hand']}"
        return f"{moved}: {said}" if said else moved
    if entry.entity == "customer" and "amount" in after:
        moved = money.format_money(after["amount"], after["currency"])
        why = after.get("reason") or after.get("refund_id")
        return f"{moved}: {why}" if why else moved
    return str(said) if said else None
