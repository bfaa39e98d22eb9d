"""Card numbers, without keeping any: Luhn, brand, expiry, and what must never be stored."""

from __future__ import annotations

import re
import unicodedata

_BRANDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("VISA", re.compile(r"^4")),
    ("MASTERCARD", re.compile(r"^(5[1-5]|2(2[2-9]|[3-6]|7[01]|720))")),
    ("AMEX", re.compile(r"^3[47]")),
    ("DISCOVER", re.compile(r"^6(011|5|4[4-9])")),
    ("JCB", re.compile(r"^35")),
    ("DINERS", re.compile(r"^3(0[0-5]|[689])")),
)
#: The networks that `brand_of` tells.
BRANDS = tuple(name for name, _ in _BRANDS)
#: What networks issue (ISO/IEC 7812): American Express, Diners Club, all others. Shorter numbers are those of
#: articles and telephones, and one in ten of them has the right check digit.
_NUMBER = re.compile(
    r"3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}"
    r"|(?:2[2-7]|3[05689]|[456][0-9]|8[126]|9[78])[0-9]{14}(?:[0-9]{2,3})?"
)
#: Groups of digits as people write them: parted by spaces, full stops or dashes.
_DIGIT_GROUPS = re.compile(r"[0-9]+(?:[ .\-\u2010-\u2014]{1,3}[0-9]+)*")
#: Nobody parts a card number into pairs; dates are.
_SMALLEST_GROUP = 3
#: What a number and its groups fill; `_MACHINE_MADE` are UUIDs, hashes and other long hexadecimal words.
_SHORTEST, _LONGEST = 14, 19
_MACHINE_MADE = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{24,})(?![0-9A-Za-z])"
)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


def digits_of(text: str) -> str:
    """The number as typed, without spaces and hyphens."""
    return re.sub(r"[\s-]", "", text)


def passes_luhn(number: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1)."""
    if not number.isascii() or not number.isdigit():
        return False
    total = 0
    for index, char in enumerate(reversed(number)):
        value = int(char)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def brand_of(number: str) -> str:
    """`VISA` and so on, upper case; `CARD` when unknown."""
    return next((name for name, pattern in _BRANDS if pattern.match(number)), "CARD")


def full_year(year: int) -> int:
    """27 → 2027."""
    return year + 2000 if year < 100 else year


def is_iban(text: str) -> bool:
    """Whether a text is an IBAN by its form and check digits (ISO 13616); it may be in groups."""
    plain = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def holds_card_number(text: str) -> bool:
    """Whether a text seems to hold a card number, which must not be stored or logged.

    Also one that stands among other digits ("order 12 4242 4242 4242 4242") or is typed full width.
    """
    if len(text) < _SHORTEST:
        return False
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    plain = _MACHINE_MADE.sub("/", plain)
    return any(_run_holds_one(run) for run in _DIGIT_GROUPS.findall(plain) if len(run) >= _SHORTEST)


def without_card_number(text: str, instead: str = "") -> str:
    """A text that another system chose, or what is kept `instead` where it seems to hold a card number."""
    return instead if holds_card_number(text) else text


def _run_holds_one(run: str) -> bool:
    groups = re.findall("[0-9]+", run)
    for start in range(len(groups)):
        number = ""
        for group in groups[start : start + _LONGEST]:
            number += group
            if len(number) > _LONGEST:
                break
            if _NUMBER.fullmatch(number) and passes_luhn(number):
                return True
            if len(group) < _SMALLEST_GROUP:
                break
    return False
