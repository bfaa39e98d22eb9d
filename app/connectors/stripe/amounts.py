"""Our minor units ↔ Stripe's: they count some currencies differently (docs.stripe.com/currencies).

Ours are CLDR's. Stripe has a list of its own: no decimals for some currencies; ISK and UGX with two decimals
although they have none, so that the last two digits are always 00; three decimals for five, of which the last
digit has to be 0; two for all others, also where CLDR has none (RSD, ALL …).
"""

from __future__ import annotations

from app.domain import money

_NONE = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

#: Digits that an amount may have in Stripe's units: by card, where the card's network may take less, and by
#: other methods.
_DIGITS_BY_CARD = 12
_DIGITS = {"IDR": 12, "COP": 10, "INR": 9}
_DIGITS_ELSEWHERE = 8


class NotChargeable(ValueError):
    """Stripe has no such amount, so that there is nothing to send."""


class NotCountable(ValueError):
    """Stripe named an amount that has no equal in our units: nobody should guess what it means."""


def to_stripe(amount: int, currency: str, *, by_card: bool = True) -> int:
    """1500 ISK → 150000; 5 JPY → 5; 1230 KWD → 1230.

    Raises:
        NotChargeable: finer than Stripe counts, not positive, or with more digits than Stripe takes.
    """
    shift = _exponent(currency) - money.exponent(currency)
    scaled, rest = divmod(amount * 10 ** max(shift, 0), 10 ** max(-shift, 0))
    if rest or (currency in _THREE and scaled % 10):
        raise NotChargeable(f"Stripe does not count {currency} so finely")
    digits = _DIGITS_BY_CARD if by_card else _DIGITS.get(currency, _DIGITS_ELSEWHERE)
    if not 0 < scaled < 10**digits:
        raise NotChargeable(f"Stripe does not take such an amount of {currency}")
    return int(scaled)


def from_stripe(amount: int, currency: str) -> int:
    """150000 ISK → 1500; the sign stays. `currency` in either case.

    Raises:
        NotCountable: finer than we count.
    """
    code = currency.upper()
    shift = _exponent(code) - money.exponent(code)
    scaled, rest = divmod(amount * 10 ** max(-shift, 0), 10 ** max(shift, 0))
    if rest:
        raise NotCountable(f"{amount} {code} is finer than we count")
    return int(scaled)


def _exponent(currency: str) -> int:
    if currency in _NONE:
        return 0
    return 3 if currency in _THREE else 2
