"""What an invariant finds (invariants.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be."""

    rule: str
    entity_id: str
    detail: str
