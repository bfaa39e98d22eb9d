"""Pictures for tests, drawn when they are needed."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw

BLACK, WHITE, TEAL, CLEAR = (0, 0, 0, 255), (255, 255, 255, 255), (0, 150, 136, 255), (0, 0, 0, 0)


def mark(
    ink: tuple[int, ...] = TEAL, paper: tuple[int, ...] = CLEAR, width: int = 400, height: int = 200
) -> Image.Image:
    """A disc and a bar, with a margin around them."""
    made = Image.new("RGBA", (width, height), paper)
    draw = ImageDraw.Draw(made)
    draw.ellipse((20, 20, height - 20, height - 20), fill=ink)
    draw.rectangle((height, height // 3, width - 20, height * 2 // 3), fill=ink)
    return made


def file(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture."""
    made = io.BytesIO()
    (picture if kind != "JPEG" else picture.convert("RGB")).save(made, kind, **options)
    return made.getvalue()


def opened(content: bytes) -> Image.Image:
    """A picture from its bytes, decoded."""
    found = Image.open(io.BytesIO(content))
    found.load()
    return found
