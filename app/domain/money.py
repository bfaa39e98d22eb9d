"""Money: integer minor units with a currency; conversion and rounding happen here and nowhere else.

Exponents are CLDR's, through Babel (decisions.md 9): JPY 0, GBP 2, KWD 3.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from functools import lru_cache

from babel import UnknownLocaleError
from babel.core import get_global
from babel.numbers import format_currency

#: Amounts stay within what every JSON reader holds exactly.
MAX_AMOUNT = 2**53

_FRACTIONS = get_global("currency_fractions")
#: In use and legal tender somewhere: not DEM, not gold (XAU), not "no currency" (XXX).
_KNOWN = frozenset(
    code
    for used in get_global("territory_currencies").values()
    for code, _, until, tender in used
    if tender and until is None
)
#: A symbol that ends in a letter touches the number: CLDR's currency spacing, which Babel leaves out.
_CROWDED = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
#: A sign after Latin letters (UK£), which text from right to left would show before them.
_LATIN_SIGN = re.compile(r"(?<=[A-Z])[^\w\s.,\u200e\u200f]+")
#: Refuses to lose a digit, where the usual context would round.
_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation, Overflow])
_WIDE = Context(prec=40, traps=[InvalidOperation, Overflow])


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
        scaled = Decimal(str(value)).scaleb(exponent(currency), _EXACT)
    except DecimalException as error:
        raise ValueError("not an amount") from error
    if not scaled.is_finite() or abs(scaled) > MAX_AMOUNT:
        raise ValueError("amount out of range")
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{currency} has {exponent(currency)} decimal places")
    return int(scaled)


def nearest_minor(value: Decimal | int, currency: str) -> int:
    """51.945 GBP → 5195: rounded half up to what the currency has.

    Raises:
        ValueError: out of range.
    """
    exact = Decimal(value)
    if not exact.is_finite() or abs(exact) > MAX_AMOUNT:
        raise ValueError("amount out of range")
    scaled = exact.quantize(Decimal(1).scaleb(-exponent(currency)), ROUND_HALF_UP, _WIDE)
    return from_major(scaled, currency)


def allocate(total: int, weights: list[int]) -> list[int]:
    """Split `total` in proportion to `weights` by largest remainder; the parts sum to it exactly.

    Where all weights are 0 the parts are equal, as far as they can be.
    """
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
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
        text = format_currency(to_major(minor, currency), currency, locale=locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        text = format_currency(to_major(minor, currency), currency, locale="en")
    text = _CROWDED.sub("\u00a0", text)
    return _LATIN_SIGN.sub("\\g<0>\u200e", text) if "\u200f" in text else text
