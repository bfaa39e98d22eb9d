"""QR codes for tests: drawn as a browser draws them, and read as a phone reads them."""

from __future__ import annotations

import re

import zxingcpp
from PIL import Image, ImageDraw


def read(image: Image.Image) -> str:
    """What the one code of an image says."""
    [code] = zxingcpp.read_barcodes(image.convert("L"))
    return str(code.text)


def drawn(svg: str, scale: int = 8) -> Image.Image:
    """What a browser draws of the code: lines of one module's height, to the right from where the pen is."""
    size = int(re.search(r'viewBox="0 0 (\d+)', svg).group(1))  # type: ignore[union-attr]
    image = Image.new("L", (size * scale, size * scale), 255)
    pen, x, y = ImageDraw.Draw(image), 0.0, 0.0
    path = re.search(r'stroke="#000" d="([^"]+)"', svg)
    assert path is not None
    for command, numbers in re.findall(r"([Mmh])([-0-9. ]+)", path.group(1)):
        values = [float(number) for number in re.findall(r"-?[0-9.]+", numbers)]
        if command == "h":
            box = (x * scale, (y - 0.5) * scale, (x + values[0]) * scale - 1, (y + 0.5) * scale - 1)
            pen.rectangle(box, fill=0)
            x += values[0]
        else:
            x, y = (values[0], values[1]) if command == "M" else (x + values[0], y + values[1])
    return image
