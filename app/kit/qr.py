"""QR codes: SVG without inline style (it passes the CSP), and PNG."""

from __future__ import annotations

import io
from html import escape

import segno


def svg(text: str, *, title: str) -> str:
    """An SVG of the code; `title` is its text alternative."""
    code = segno.make(text, error="m", micro=False)
    size = code.symbol_size(border=2)[0]
    buffer = io.BytesIO()
    code.save(
        buffer,
        kind="svg",
        border=2,
        xmldecl=False,
        svgns=True,
        omitsize=True,
        svgclass="qr",
        lineclass=None,
        dark="#000",
        light="#fff",
    )
    drawn = buffer.getvalue().decode()
    label = f'role="img" aria-label="{escape(title, quote=True)}" viewBox="0 0 {size} {size}"'
    head, _, rest = drawn.partition(">")
    head = head.replace(f' viewBox="0 0 {size} {size}"', "")
    return f"{head} {label}>{rest}"


def png(text: str, *, scale: int = 10) -> bytes:
    """A PNG of the code, `scale` pixels a module."""
    buffer = io.BytesIO()
    segno.make(text, error="m", micro=False).save(buffer, kind="png", scale=scale, border=2)
    return buffer.getvalue()
