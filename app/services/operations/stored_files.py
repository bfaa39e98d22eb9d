"""Files in the data folder."""

from __future__ import annotations

import os
from pathlib import Path

from app.kit.ids import random_token


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or not there, and survives a power cut."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{random_token(9)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # a new name is kept by its folder
    finally:
        os.close(folder)
