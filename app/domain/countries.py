"""Countries: the two-letter codes of ISO 3166-1, as CLDR knows them through Babel."""

from __future__ import annotations

import re

from babel import Locale

#: Two-letter codes of CLDR that are groups or placeholders.
_NO_COUNTRIES = frozenset({"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"})
_CODES = (
    frozenset(filter(re.compile("[A-Z]{2}").fullmatch, map(str, Locale("en").territories))) - _NO_COUNTRIES
)


def is_country(code: str) -> bool:
    """Whether this is the code of a country."""
    return code in _CODES
