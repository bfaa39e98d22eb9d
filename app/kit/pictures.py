"""Pictures that somebody hands in: looked at before they are decoded, and drawn anew.

What comes out has none of the bytes that came in: no second file behind the first, no script, no place where
a photograph was taken. Pillow is imported when a picture comes.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

#: What is read. SVG is a page that may hold scripts, and a GIF is a film.
FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 16_000_000
#: A logo: its longest side at least, how many times longer than the other, the boxes that it is fitted into.
LEAST, MOST_STRETCHED = 48, 8
PAGE_BOX, PRINT_BOX = (320, 96), (1024, 512)
PHOTO_BOX, PHOTO_BYTES = (1280, 1280), 400_000
#: Above so many bytes a picture is drawn with 256 colours.
PLAIN_BYTES = {PAGE_BOX: 12_000, PRINT_BOX: 150_000}

#: What Pillow raises over bytes that are no picture, or half of one.
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
)


class PictureRefused(Exception):
    """It cannot be taken; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo for pages and for paper, both PNG, the first `width` × `height` pixels.

    `backing` is what has to be behind it to be seen: `light` on a dark page, `dark` on a light one; None
    where it stands out on both.
    """

    page: bytes
    print: bytes
    width: int
    height: int
    backing: str | None


def logo(content: bytes) -> Logo:
    """A logo from the bytes of a picture, without its empty margins.

    Raises:
        PictureRefused: no picture that is taken, too many pixels, too small, too long, or nothing on it.
    """
    drawn = _drawn(content)
    seen = drawn.getchannel("A").point(lambda alpha: 255 if alpha > 8 else 0).getbbox()
    if seen is None:
        raise PictureRefused("There is nothing to see on this picture")
    drawn = drawn.crop(seen)
    if max(drawn.size) < LEAST:
        raise PictureRefused(f"A logo is at least {LEAST} pixels wide or high")
    if max(drawn.size) > MOST_STRETCHED * min(drawn.size):
        raise PictureRefused(f"A logo is at most {MOST_STRETCHED} times as wide as it is high")
    on_page, on_paper = _fitted(drawn, PAGE_BOX), _fitted(drawn, PRINT_BOX)
    return Logo(
        _png(on_page, PLAIN_BYTES[PAGE_BOX]),
        _png(on_paper, PLAIN_BYTES[PRINT_BOX]),
        *on_page.size,
        _backing(on_page),
    )


def photo(content: bytes) -> tuple[str, bytes]:
    """A picture for a page, as its type and bytes: JPEG, or PNG where one can see through it.

    Raises:
        PictureRefused: no picture that is taken, or too many pixels.
    """
    fitted = _fitted(_drawn(content), PHOTO_BOX)
    if fitted.getchannel("A").getextrema() != (255, 255):
        return "image/png", _png(fitted, PHOTO_BYTES)
    file = io.BytesIO()
    fitted.convert("RGB").save(file, "JPEG", quality=82, optimize=True, progressive=True)
    return "image/jpeg", file.getvalue()


def _drawn(content: bytes) -> Image:
    """The picture as red, green, blue and alpha, the right way up; of a film its first frame."""
    from PIL import Image, ImageOps

    if content.lstrip()[:5].lower() in (b"<?xml", b"<svg ", b"<!doc"):
        raise PictureRefused("An SVG may hold scripts: save it as PNG, and send that")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as found:
            if found.width * found.height > MAX_PIXELS:
                raise PictureRefused(f"A picture has at most {MAX_PIXELS // 1_000_000} million pixels")
            found.draft("RGB", (2048, 2048))
            return ImageOps.exif_transpose(found).convert("RGBA")
    except (*_BROKEN, Image.DecompressionBombError) as broken:
        raise PictureRefused("This is no picture that we can read: send PNG, JPEG or WebP") from broken


def _fitted(picture: Image, box: tuple[int, int]) -> Image:
    """The same, no larger than a box."""
    from PIL import Image

    fitted = picture.copy()
    fitted.thumbnail(box, Image.Resampling.LANCZOS)
    return fitted


def _png(picture: Image, most: int) -> bytes:
    from PIL import Image

    opaque = picture.getchannel("A").getextrema() == (255, 255)
    whole = _bytes(picture.convert("RGB") if opaque else picture)
    if len(whole) <= most:
        return whole
    return min(whole, _bytes(picture.quantize(256, Image.Quantize.FASTOCTREE)), key=len)


def _bytes(picture: Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _backing(picture: Image) -> str | None:
    """See `Logo.backing`: by how much of what is seen is nearly white, or nearly black."""
    small = picture.copy()
    small.thumbnail((64, 64))
    data = small.tobytes()
    alphas = data[3::4]
    shown = [n for n, alpha in enumerate(alphas) if alpha > 64]
    if len(shown) > 0.98 * len(alphas):
        return None  # it brings its own
    lights = [_luminance(*data[4 * n : 4 * n + 3]) for n in shown]
    if sum(light > 0.65 for light in lights) > 0.6 * len(lights):
        return "dark"
    return "light" if sum(light < 0.1 for light in lights) > 0.1 * len(lights) else None


def _luminance(red: int, green: int, blue: int) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = (
        (c / 255 / 12.92) if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    )
    return sum(part * share for part, share in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
