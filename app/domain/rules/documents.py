"""Documents that a merchant may upload: what they may be, and what they are by their first bytes."""

from __future__ import annotations

import re

#: The largest document, in bytes.
MAX_BYTES = 5 * 1024 * 1024

_MAGIC = {
    "application/pdf": b"%PDF-",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}
#: What is taken; nothing that a browser would run.
CONTENT_TYPES = (*_MAGIC, "text/plain")
#: What shows an identity.
IDENTITY_TYPES = tuple(_MAGIC)

#: Words of the API for a content type.
WORDS = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "text": "text/plain",
    "txt": "text/plain",
}

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_NAME = re.compile(r"[^\w .()+-]+")


def is_a(content: bytes, content_type: str) -> bool:
    """Whether the bytes are of that type: by the first ones, or as UTF-8 without control characters."""
    if content_type in _MAGIC:
        return content.startswith(_MAGIC[content_type])
    if content_type != "text/plain" or content.startswith(tuple(_MAGIC.values())):
        return False
    try:
        return _CONTROL.search(content.decode()) is None
    except UnicodeDecodeError:
        return False


def safe_name(filename: str) -> str:
    """A file's name without folders, control or special characters, at most 120 long."""
    name = _NAME.sub("_", filename.replace("\\", "/").rsplit("/", 1)[-1]).strip(" .")
    return name[-120:] or "document"
