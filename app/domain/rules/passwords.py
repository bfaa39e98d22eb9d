"""Which passwords are refused (security.md, NIST SP 800-63B 3.1.1.2): length, and what is guessed first.

A list of whole passwords of twelve characters and more is short, since what people choose at that length is
made of known pieces: a common word or keyboard run with digits around it, a piece said several times, their
own name. Those are taken apart here; everything else of twelve characters may be used, without rules about
kinds of characters (docs/adr/0026).
"""

from __future__ import annotations

import string
from collections.abc import Iterable

MIN_LENGTH, MAX_LENGTH = 12, 128

#: So many characters have to be left when common pieces are taken out.
_ENOUGH = 4


def _listed(text: str) -> tuple[str, ...]:
    """The words of a list, long ones first."""
    return tuple(sorted(text.split(), key=len, reverse=True))


#: Whole passwords of twelve characters and more from published lists that are not made of the pieces below.
_WHOLE = frozenset(
    _listed("""
    correcthorsebatterystaple ilovemymother ilovemyfamily iloveyouforever iloveyousomuch loveyouforever
    iamthegreatest godisgreat123 jesuschrist1 thankyoujesus unbelievable1 chocolate123 liverpoolfc1
    manchesterunited manchester123 realmadrid123 barcelona123 chelsea12345 newcastle123 newyorkcity1
    tottenham123 starwars1234 starwars12345 pokemon12345 minecraft123 spiderman123 harrypotter1
    batman123456 nintendo1234 blink182blink tinkerbell12 butterfly123 elizabeth123 alexander123
    christopher1 jonathan1234 samantha1234 stephanie123 whatever1234 gameover1234 businessbabe
    babygirl1234 computer1234 internet1234 basketball12 volleyball12 snowboarding metallica123
    slipknot1234 rangers12345 cowboys12345 yankees12345 lakers123456 thunder12345 charlie12345
    jordan123456 michelle1234 jessica12345 ashley123456 andrew123456 daniel123456 matthew12345
    anthony12345 william12345 jennifer1234 thomas123456 robert123456 nicole123456
    """)
)

#: What most bad passwords are made of, also with `0` for `o` and the like.
_PIECES = _listed("""
    access account admin administrator alexander baseball bitcoin changeit changeme charlie checkout
    computer default demo dragon flower football freedom hello hunter iloveyou internet jordan killer
    letmein liverpool login love master merchant michael monkey money mustang ninja operator owner
    passphrase passwd passwort password payment pokemon princess private qazwsx root samsung secret
    secure server service shadow shop spring autumn summer winter sunshine superman superuser support
    system temp test testing till trustno trustnoone user username welcome whatever january february
    march april june july august september october november december monday friday
    """)
#: Runs along keyboards and alphabets, read in both directions; any four of them in a row are a piece.
_RUNS = (
    "01234567890",
    string.ascii_lowercase,
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb",
    "qazwsxedcrfvtgb",
    "zaq12wsxcde34rfv",
)
_RUN = 4
_RUN_PIECES = frozenset(
    line[at : at + _RUN] for run in _RUNS for line in (run, run[::-1]) for at in range(len(line) - _RUN + 1)
)
_LEET = str.maketrans("0134578@$!", "oieastbasi")


def problem(password: str, about: Iterable[str] = ()) -> str | None:
    """`too_short`, `too_long`, `too_common`, or None when the password may be used.

    `about` are words about whom it is for (address, name, merchant), of which it must not be made.
    """
    if len(password) < MIN_LENGTH:
        return "too_short"
    if len(password) > MAX_LENGTH:
        return "too_long"
    folded = password.lower()
    own = sorted((word for text in about for word in _words(text)), key=len, reverse=True)
    if folded in _WHOLE or len(set(folded)) < 4 or _repeats(folded):
        return "too_common"
    shapes = {folded, folded.translate(_LEET)}
    return "too_common" if any(_left(shape, own) < _ENOUGH for shape in shapes) else None


def _left(text: str, own: list[str]) -> int:
    """How many letters are left without common pieces and what stands around them."""
    for word in own:
        text = text.replace(word, " ")
    text = _without_runs(text)
    for piece in _PIECES:
        text = text.replace(piece, " ")
    return sum(not (char in string.digits or char in string.punctuation or char == " ") for char in text)


def _without_runs(text: str) -> str:
    covered: set[int] = set()
    for at in range(len(text) - _RUN + 1):
        if text[at : at + _RUN] in _RUN_PIECES:
            covered.update(range(at, at + _RUN))
    return "".join(" " if at in covered else char for at, char in enumerate(text))


def _repeats(text: str) -> bool:
    """Whether it is one piece of at most six characters, said again and again."""
    return any(text == (text[:size] * len(text))[: len(text)] for size in range(1, 7))


def _words(text: str) -> list[str]:
    """The words of four letters and more in a name or an address."""
    folded = "".join(char if char.isalnum() else " " for char in text.lower())
    return [word for word in folded.split() if len(word) >= 4]
