"""Typefaces of the PDF files: which letters there are, and what becomes of those that there are not.

DejaVu has Latin, Greek, Cyrillic, Hebrew and Arabic letters; Noto Sans those of Japanese and of simplified
Chinese. Both are installed files, read when a receipt needs them; only what is used is put into the receipt.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fpdf import FPDF

FOLDER = Path(__file__).resolve().parents[2] / "node_modules" / "dejavu-fonts-ttf" / "ttf"
FAMILY = "DejaVu"
_STYLES = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
#: Family → the package with its file. Where both have a letter, the reader's language chooses its shape.
_OF_EAST_ASIA = {
    "ja": ("pylopdf_fonts_jp", "NotoSansJP-Regular.otf"),
    "zh": ("pylopdf_fonts_zh_cn", "NotoSansSC-Regular.otf"),
}


def _order(language: str) -> list[str]:
    return sorted(_OF_EAST_ASIA, key=lambda family: family != language)


def _file(family: str) -> str:
    if family == FAMILY:
        return str(FOLDER / _STYLES[""])
    package, name = _OF_EAST_ASIA[family]
    return str(files(package) / name)


@cache
def _letters(family: str) -> frozenset[int]:
    """What a typeface has letters for."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    with TTFont(_file(family), lazy=True) as font:
        return frozenset(font.getBestCmap())


def _beyond(text: Iterable[str]) -> set[int]:
    return {ord(letter) for letter in text if unicodedata.category(letter) != "Cc"} - _letters(FAMILY)


def _nowhere(text: Iterable[str]) -> set[int]:
    found = _beyond(text)
    for family in _OF_EAST_ASIA if found else ():
        found -= _letters(family)
    return found


def can_write(text: str) -> bool:
    """Whether every letter of a text can be drawn; signs that are none, like emoji, may be left out."""
    return not any(unicodedata.category(chr(code))[0] in "LMN" for code in _nowhere(text) if not _joins(code))


def _joins(code: int) -> bool:
    """Whether it only says how the sign before it looks."""
    return 0xFE00 <= code <= 0xFE0F or code == 0x20E3


def without_signs(value: Any) -> Any:
    """The same texts, within lists and dictionaries, without what cannot be drawn."""
    if isinstance(value, dict):
        return {key: without_signs(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_signs(item) for item in value]
    if isinstance(value, str) and (missing := _nowhere(value)):
        return " ".join(value.translate(dict.fromkeys(missing)).split())
    return value


def add_to(pdf: FPDF, text: str, language: str) -> None:
    """Give a file the typefaces that a text needs, and that the words of a language need."""
    for style, name in _STYLES.items():
        pdf.add_font(FAMILY, style, str(FOLDER / name))
    beyond, needed = _beyond(text), []
    for family in _order(language):
        if family == language or (beyond and beyond & _letters(family)):
            pdf.add_font(family, "", _file(family))
            needed.append(family)
            beyond = beyond and beyond - _letters(family)
    pdf.set_fallback_fonts(needed, exact_match=False)
