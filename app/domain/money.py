"""Money: integer minor units with a currency; conversion and rounding happen here and nowhere else.

Exponents are CLDR's, through Babel (decisions.md 9): JPY 0, GBP 2, KWD 3.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.numbers import format_currency

#: Amounts stay within what every JSON reader holds exactly.
MAX_AMOUNT = 2**53

_FRACTIONS = get_global("currency_fractions")
_KNOWN = frozenset(Locale("en").currencies)


def exponent(currency: str) -> int:
    """Decimal places of a currency."""
    return int(_FRACTIONS.get(currency, _FRACTIONS["DEFAULT"])[0])


def is_currency(code: str) -> bool:
    """Whether the code is an ISO 4217 currency that Till can charge in."""
    return len(code) == 3 and code in _KNOWN


def to_major(minor: int, currency: str) -> Decimal:
    """5194 GBP → 51.94."""
    return Decimal(minor).scaleb(-exponent(currency))


def from_major(value: Decimal | int | str, currency: str) -> int:
    """51.94 GBP → 5194.

    Raises:
        ValueError: not a number, out of range, or more decimals than the currency has.
    """
    try:
        scaled = Decimal(str(value)).scaleb(exponent(currency))
    except InvalidOperation as error:
        raise ValueError("not an amount") from error
    if not scaled.is_finite() or abs(scaled) > MAX_AMOUNT:
        raise ValueError("amount out of range")
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{currency} has {exponent(currency)} decimal places")
    return int(scaled)


def allocate(total: int, weights: list[int]) -> list[int]:
    """Split `total` in proportion to `weights` by largest remainder; the parts sum to it exactly."""
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


@lru_cache(maxsize=4096)
def format_money(minor: int, currency: str, locale: str = "en") -> str:
    """`£51.94`, as the reader's language writes it."""
    try:
        return format_currency(to_major(minor, currency), currency, locale=locale)
    except UnknownLocaleError:
        return format_currency(to_major(minor, currency), currency, locale="en")
