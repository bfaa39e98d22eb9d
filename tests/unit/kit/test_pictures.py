"""Logos: what is taken, how it is drawn anew, what has to be behind it, and what is refused."""

from __future__ import annotations

import struct
import zlib

import pytest
from PIL import Image, ImageOps

from app.kit import pictures
from app.kit.pictures import PictureRefused
from tests.drawings import BLACK, CLEAR, TEAL, WHITE, file, mark, opened


def test_a_logo_is_fitted_without_its_margins_for_pages_and_for_paper() -> None:
    wide = ImageOps.expand(mark(width=3000, height=900), 300, CLEAR)
    made = pictures.logo(file(wide))
    assert made.page.startswith(b"\x89PNG") and made.print.startswith(b"\x89PNG")
    on_page, on_paper = opened(made.page), opened(made.print)
    assert on_page.size == (made.width, made.height) == (320, 93), "2960 × 860 in a box"
    assert on_paper.size == (1024, 298)
    assert on_page.convert("RGBA").getpixel((made.width - 2, 2))[3] == 0, "what was clear is"  # type: ignore[index]
    assert len(made.page) < 20_000
    small = pictures.logo(file(mark(width=100, height=60)))
    assert (small.width, small.height) == (61, 21), "it is never drawn larger"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_nothing_that_came_in_comes_out_but_what_is_seen(kind: str) -> None:
    notes = Image.Exif()
    notes[0x010E] = "taken at 51.5 N"
    notes[0x0112] = 6  # lies on its side
    sent = file(mark(paper=WHITE), kind, exif=notes) + b"<script>alert(1)</script>PK\x03\x04"
    made = pictures.logo(sent)
    for drawn in (made.page, made.print):
        assert b"script" not in drawn and b"51.5" not in drawn and b"PK\x03\x04" not in drawn
        assert opened(drawn).info.get("exif") is None
        assert drawn.endswith(b"IEND\xaeB`\x82")
    assert made.height > made.width, "the right way up"
    assert made.backing is None, "it brings its own ground"


@pytest.mark.parametrize(("ink", "backing"), [(BLACK, "light"), (WHITE, "dark"), (TEAL, None)])
def test_it_is_known_where_a_logo_would_not_be_seen(ink: tuple[int, ...], backing: str | None) -> None:
    assert pictures.logo(file(mark(ink))).backing == backing


def test_a_photograph_is_drawn_with_fewer_colours_and_a_film_stands_still() -> None:
    noise = Image.effect_noise((1200, 500), 90).convert("RGB")
    made = pictures.logo(file(noise, "JPEG"))
    assert opened(made.page).mode == opened(made.print).mode == "P"
    film = file(mark(BLACK), "WEBP", save_all=True, append_images=[mark(WHITE)], duration=50)
    assert pictures.logo(film).backing == "light", "its first picture"


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


REFUSED = {
    "svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "scripts"),
    "bare svg": (b"\n <svg onload=alert(1)>", "scripts"),
    "page": (b"<!doctype html><script>alert(1)</script>", "scripts"),
    "gif": (file(mark().convert("P"), "GIF"), "no picture"),
    "text": (b"hello", "no picture"),
    "nothing": (b"", "no picture"),
    "half": (file(mark())[:400], "no picture"),
    "png in name": (b"\x89PNG\r\n\x1a\n and so on", "no picture"),
    "bomb": (bomb(60_000, 60_000), "million pixels|no picture"),
    "large": (bomb(5_000, 4_000), "16 million pixels"),
    "short of data": (bomb(400, 400), "no picture"),
    "clear": (file(Image.new("RGBA", (200, 100), CLEAR)), "nothing to see"),
    "tiny": (file(mark(width=64, height=44)), "at least 48"),
    "long": (file(Image.new("RGB", (900, 100))), "8 times"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90 90\n", "no picture"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_logo_is_refused_in_words(name: str) -> None:
    content, words = REFUSED[name]
    with pytest.raises(PictureRefused, match=words):
        pictures.logo(content)


def test_bytes_that_are_broken_anywhere_are_refused_and_break_nothing() -> None:
    whole = {kind: file(mark(), kind) for kind in ("PNG", "JPEG", "WEBP")}
    for sent in whole.values():
        for place in range(0, len(sent), max(1, len(sent) // 40)):
            spoilt = sent[:place] + bytes([sent[place] ^ 0xFF]) + sent[place + 1 :]
            try:
                pictures.logo(spoilt)
            except PictureRefused:
                continue
