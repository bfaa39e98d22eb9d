"""What called, in a few words, for the list of a person's sign-ins; never the header itself."""

from __future__ import annotations

from typing import TypedDict

from flask import request

from app.kit import addresses
from app.web.authentication import client_address

#: The first mark that is found names the program; most browsers also claim to be others.
_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


class Caller(TypedDict):
    """What a sign-in keeps of where it came from."""

    address: str | None
    agent: str


def caller() -> Caller:
    """`address` (its network alone) and `agent` (`Firefox, Windows`) of the request."""
    return Caller(address=addresses.shortened(client_address()), agent=described(request.user_agent.string))


def described(header: str) -> str:
    """The program and system that a User-Agent names, in our words; empty where none is known."""
    found = [_first(header, _PROGRAMS), _first(header, _SYSTEMS)]
    return ", ".join(name for name in found if name)


def _first(header: str, marks: tuple[tuple[str, str], ...]) -> str:
    return next((name for mark, name in marks if mark in header), "")
