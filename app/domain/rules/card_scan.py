"""Finding card numbers in what is stored: strict, so that ids, hashes, phone numbers and times are none.

rules/cards.py refuses whatever might be a number before it is stored; this looks for what got through.
"""

from __future__ import annotations

import re
import unicodedata

from app.domain.rules.cards import brand_of, passes_luhn

#: Standing alone, in one piece or in the groups that are embossed on cards.
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z+])"
    r"(?:\d{14,19}|\d{4}([ .\-])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ .\-])\d{6}\2\d{4,5})"
    r"(?![0-9A-Za-z])",
    re.ASCII,
)
#: The lengths that networks give out.
_LENGTHS = {
    "VISA": (16, 19),
    "MASTERCARD": (16,),
    "AMEX": (15,),
    "DISCOVER": (16, 19),
    "JCB": (16, 19),
    "DINERS": (14, 16, 19),
}


def shows_card_number(text: str) -> bool:
    """Whether a card number stands in a text."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return any(_is_card(re.sub(r"\D", "", found.group())) for found in _NUMBER.finditer(plain))


def _is_card(number: str) -> bool:
    return len(number) in _LENGTHS.get(brand_of(number), ()) and passes_luhn(number)
