"""What a payment link's page asks of a payer beside the amount, and says when nobody can pay (ux.md).

It is stored as the API has it, in one JSON value of the link: only its page reads it, nothing looks for it.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound, Unprocessable
from app.domain.rules.cards import holds_card_number
from app.services.payments import uploads

MAX_QUANTITY, MAX_FIELDS, MAX_OPTIONS, MAX_ANSWER = 999, 5, 20, 200
#: Why a link cannot be paid, for each of which the merchant may have words of their own.
REASONS = ("inactive", "expired", "used_up", "sold_out", "taken")
#: Where a payer comes from, by the names that everybody uses; kept with the session.
CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
PICTURES = ("image/png", "image/jpeg")

_KEY = re.compile(r"[a-z][a-z0-9_]{0,31}")
#: Words that the form has already.
_TAKEN = frozenset({"amount", "preset", "quantity", "email", "code", "via", "csrf_token", *CAMPAIGN})


@dataclass(frozen=True, slots=True)
class Question:
    """A field that a payer fills in: any text, or one of `options`."""

    key: str
    label: str
    required: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkPage:
    """The choices of a link's page; with `max_quantity` a payer may take more than one."""

    max_quantity: int | None = None
    promotion_codes: bool = False
    questions: tuple[Question, ...] = ()
    messages: Mapping[str, str] = field(default_factory=dict)
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a payer answered: how many, a promotion code, answers by key, and where they came from."""

    quantity: int = 1
    code: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    campaign: Mapping[str, str] = field(default_factory=dict)


def of(stored: Mapping[str, Any] | None) -> LinkPage:
    """The page of what is stored."""
    given = stored or {}
    questions = tuple(
        Question(q["key"], q["label"], bool(q.get("required")), tuple(q.get("options") or ()))
        for q in given.get("fields") or ()
    )
    return LinkPage(
        given.get("maxQuantity"),
        bool(given.get("promotionCodes")),
        questions,
        given.get("messages") or {},
        given.get("picture"),
    )


def check(db: Session, actor: Actor, stored: Mapping[str, Any] | None) -> None:
    """Refuse a page that cannot be.

    Raises:
        InvalidRequest: naming the field.
    """
    page = of(stored)
    if page.max_quantity is not None and not 1 < page.max_quantity <= MAX_QUANTITY:
        raise _wrong("maxQuantity", f"A largest quantity is from 2 to {MAX_QUANTITY}")
    keys = [question.key for question in page.questions]
    if len(keys) > MAX_FIELDS or len(set(keys)) < len(keys):
        raise _wrong("fields", f"Up to {MAX_FIELDS} fields, each with a key of its own")
    for question in page.questions:
        if not _KEY.fullmatch(question.key) or question.key in _TAKEN:
            raise _wrong("fields", f"{question.key} cannot be a key: small letters, digits and underscores")
        if not question.label.strip() or len(question.label) > 80:
            raise _wrong("fields", "A label has 1 to 80 characters")
        options = question.options
        if len(options) > MAX_OPTIONS or len(set(options)) < len(options):
            raise _wrong("fields", f"Up to {MAX_OPTIONS} different options")
        if not all(option.strip() and len(option) <= 80 for option in options):
            raise _wrong("fields", "An option has 1 to 80 characters")
    for reason, words in page.messages.items():
        if reason not in REASONS or not words.strip() or len(words) > 300:
            raise _wrong("messages", f"Words of 1 to 300 characters for {', '.join(REASONS)}")
    if page.picture is not None:
        _check_picture(db, actor, page.picture)


def key_of(label: str, taken: Collection[str]) -> str:
    """A key for a question that has words alone; none of those that are taken."""
    plain = unicodedata.normalize("NFKD", label.casefold()).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:28].strip("_")
    if not _KEY.fullmatch(stem) or stem in _TAKEN:
        stem = f"answer_{stem}"[:28].strip("_")
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)


def quantity(page: LinkPage, wanted: int) -> int:
    """How many a payer takes.

    Raises:
        InvalidRequest: more than may be taken at once, or none.
    """
    most = page.max_quantity or 1
    if not 1 <= wanted <= most:
        raise InvalidRequest(f"Enter a quantity from 1 to {most}", field="quantity", code="invalid_quantity")
    return wanted


def codes(page: LinkPage, asked: Asked) -> tuple[str, ...]:
    """The promotion code that a payer typed, if they did.

    Raises:
        Unprocessable: `promotion_invalid`: the link takes none.
    """
    code = asked.code.strip().upper()
    if code and not page.promotion_codes:
        raise bad_code()
    return (code,) if code else ()


def bad_code() -> Unprocessable:
    """What is said of a promotion code that is not good here or now."""
    return Unprocessable("This code isn't valid", code="promotion_invalid", field="code")


def metadata(page: LinkPage, asked: Asked) -> dict[str, str]:
    """What is kept with the session: the answers, and where the payer came from.

    Raises:
        InvalidRequest: naming the question that is not answered, or not like this.
    """
    kept: dict[str, str] = {}
    for question in page.questions:
        answer = asked.answers.get(question.key, "").strip()
        if holds_card_number(answer):
            raise InvalidRequest(
                "This looks like a card number. Take it out: your card is asked for on the next page.",
                field=question.key,
                code="card_number_refused",
            )
        if question.required and not answer:
            raise InvalidRequest(f"Fill in: {question.label}", field=question.key)
        if len(answer) > MAX_ANSWER or (answer and question.options and answer not in question.options):
            raise InvalidRequest(f"This is no answer: {question.label}", field=question.key)
        if answer:
            kept[question.key] = answer
    for name in CAMPAIGN:
        value = asked.campaign.get(name, "").strip()[:MAX_ANSWER]
        if value and value.isprintable() and not holds_card_number(value):
            kept[name] = value
    return kept


def _check_picture(db: Session, actor: Actor, upload_id: str) -> None:
    try:
        upload = uploads.find(db, actor, upload_id)
    except NotFound as missing:
        raise _wrong("picture", "There is no such upload") from missing
    if upload.stored_at is None or upload.content_type not in PICTURES:
        raise _wrong("picture", "A picture is a stored upload, PNG or JPEG")


def _wrong(name: str, words: str) -> InvalidRequest:
    return InvalidRequest(words, field=f"page.{name}")
