"""What a gateway's vault may tell of a card beside its token: for the risk rules."""

from __future__ import annotations

from dataclasses import dataclass

from app.connectors.base import MethodToken


@dataclass(frozen=True, slots=True)
class CardToken(MethodToken):
    """A card in a vault that knows more of it than may be shown.

    `fingerprint` and `prefix_hash` are keyed hashes, equal for the same card at the same merchant; `country`
    is where the card was issued; `risk` is the vault's opinion of it, 0 to 100.
    """

    country: str | None = None
    fingerprint: str | None = None
    prefix_hash: str | None = None
    risk: int | None = None
