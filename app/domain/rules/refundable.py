"""How much of a payment may still go back."""

from __future__ import annotations


def refundable(captured: int, refunding: int, disputed: int) -> int:
    """Captured less what refunds that did not fail have reserved, and less what is disputed."""
    return max(captured - refunding - disputed, 0)
