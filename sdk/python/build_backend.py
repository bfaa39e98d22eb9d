"""Builds the wheel and the source archive with the standard library alone (PEP 517, PEP 660).

`pip install` of this folder then needs no index and no other tool; see docs/adr/0030. What it builds is the
same to the byte, whenever and wherever it is built.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGE = "payment_sdk"
#: The earliest instant that a zip file can hold.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: object = None
) -> str:
    """Make the wheel in a folder; its name."""
    return _wheel(wheel_directory, dict(_sources()))


def build_editable(
    wheel_directory: str, config_settings: object = None, metadata_directory: object = None
) -> str:
    """Make a wheel that leads back to this folder; its name."""
    return _wheel(wheel_directory, {f"{PACKAGE}.pth": f"{HERE}\n".encode()})


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    """Make the source archive in a folder; its name."""
    stem = f"{_name()}-{_project()['version']}"
    files = {
        name: (HERE / name).read_bytes() for name in ("pyproject.toml", "README.md", Path(__file__).name)
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {**files, **dict(_sources()), "PKG-INFO": _metadata()}.items():
            entry = tarfile.TarInfo(f"{stem}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    path = Path(sdist_directory, f"{stem}.tar.gz")
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return path.name


def _wheel(folder: str, files: dict[str, bytes]) -> str:
    stem = f"{_name()}-{_project()['version']}"
    info = f"{stem}.dist-info"
    about = "Wheel-Version: 1.0\nGenerator: payment_sdk\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {**files, f"{info}/METADATA": _metadata(), f"{info}/WHEEL": about.encode()}
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = Path(folder, f"{stem}-py3-none-any.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return path.name


def _sources() -> Iterator[tuple[str, bytes]]:
    for path in sorted((HERE / PACKAGE).rglob("*")):
        if path.suffix == ".py" or path.name == "py.typed":
            yield path.relative_to(HERE).as_posix(), path.read_bytes()


def _metadata() -> bytes:
    project = _project()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"Requires-Python: {project['requires-python']}",
        f"Keywords: {','.join(project['keywords'])}",
        *(f"Classifier: {text}" for text in project["classifiers"]),
        *(f"Requires-Dist: {text}" for text in project["dependencies"]),
        "Description-Content-Type: text/markdown",
        "",
        (HERE / project["readme"]).read_text(),
    ]
    return "\n".join(lines).encode()


def _project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    return found


def _name() -> str:
    return str(_project()["name"]).replace("-", "_")


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
