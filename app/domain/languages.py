"""The languages that shoppers can read Till's pages in (docs/adr/0034)."""

from __future__ import annotations

#: Code → the language's own name, in the picker's order; the first is the fallback.
LANGUAGES = {
    "en": "English",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "it": "Italiano",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "ar": "العربية",
    "ja": "日本語",
    "zh": "简体中文",
}
FALLBACK = "en"
