"""How much may be paid at once: a merchant's limits of one transaction (OP-43, CK-070)."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import Unprocessable


@dataclass(frozen=True, slots=True)
class AmountLimits:
    """Limits in minor units; None where there is none.

    `max_amount` and `min_amount` hold for payments in `currency` alone, where one is named, and else in every
    currency: Till knows no rates by which to compare. `max_authorization_amount` holds in every currency.
    """

    max_authorization_amount: int | None = None
    max_amount: int | None = None
    min_amount: int | None = None
    currency: str | None = None

    def largest(self, currency: str) -> int | None:
        """The most that may be paid at once in a currency."""
        found = [self.max_authorization_amount, self.max_amount if self._about(currency) else None]
        return min((limit for limit in found if limit is not None), default=None)

    def smallest(self, currency: str) -> int:
        """The least that may be paid at once in a currency."""
        return (self.min_amount if self._about(currency) else None) or 0

    def check(self, amount: int, currency: str) -> None:
        """Whether a purchase of so much may be made; one that costs nothing may.

        Raises:
            Unprocessable: `tx_limit_exceeded`.
        """
        largest, smallest = self.largest(currency), self.smallest(currency)
        if largest is not None and amount > largest:
            raise _refused("The amount is over the limit", "over_maximum")
        if 0 < amount < smallest:
            raise _refused("The amount is below the least that is taken", "under_minimum")

    def _about(self, currency: str) -> bool:
        return self.currency in (None, currency)


def _refused(text: str, detail: str) -> Unprocessable:
    reason = f"tx_limit_exceeded:{detail}"
    return Unprocessable(text, code="tx_limit_exceeded", explain={"reason": reason})
