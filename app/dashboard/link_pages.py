"""What a payment link's page asks for and says, in the link's form (services/checkout/link_page.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _
from werkzeug.datastructures import MultiDict

from app.dashboard.shell import actor
from app.dashboard.typed import whole, words
from app.domain.errors import PayloadTooLarge, Unprocessable
from app.domain.rules import documents
from app.kit import pictures
from app.services.checkout import link_page
from app.services.checkout.link_page import MAX_FIELDS, REASONS
from app.services.payments import uploads

#: The hidden field of a form that has these fields: another one leaves a link's page as it is.
ASKED = "page_asked"
#: Why nobody can pay, in words of ours beside the merchant's.
REASON_WORDS = {
    "inactive": _("When it is switched off"),
    "expired": _("When its time is over"),
    "used_up": _("When its one payment is made"),
    "sold_out": _("When all its payments are made"),
    "taken": _("While somebody else pays the last one"),
}
#: Where a refusal of the service is said.
FIELDS = {
    "page.maxQuantity": "max_quantity",
    "page.fields": "questions",
    "page.messages": "messages",
    "page.picture": "picture_file",
}


def changes() -> dict[str, Any]:
    """What the form says of the page, for the link's terms; nothing where it does not ask.

    Raises:
        InvalidRequest: a quantity that is no number.
        PayloadTooLarge, Unprocessable: no picture that is taken.
    """
    if ASKED not in request.form:
        return {}
    page = {
        "maxQuantity": whole("max_quantity"),
        "promotionCodes": request.form.get("promotion_codes") == "1",
        "fields": list(_questions()),
        "messages": {reason: said for reason in REASONS if (said := words(f"message-{reason}", 300))},
        "picture": _picture(),
    }
    return {"page": {name: value for name, value in page.items() if value} or None}


def _questions() -> Iterator[dict[str, Any]]:
    """Those that have words; a question keeps its key, by which its answers are found."""
    kept = {key for number in range(MAX_FIELDS) if (key := words(f"question-{number}-key", 32))}
    for number in range(MAX_FIELDS):
        label = words(f"question-{number}-label", 200)
        if label:
            lines = request.form.get(f"question-{number}-options", "").splitlines()
            options = [line.strip() for line in lines if line.strip()]
            key = words(f"question-{number}-key", 32) or link_page.key_of(label, kept)
            kept.add(key)
            asked = {"key": key, "label": label, "options": options}
            required = request.form.get(f"question-{number}-required") == "1"
            yield {name: value for name, value in asked.items() if value} | (
                {"required": True} if required else {}
            )


def _picture() -> str | None:
    """The upload that is shown: a new one, drawn anew, or the one that was there."""
    file = request.files.get("picture_file")
    if file is None or not file.filename:
        gone = request.form.get("picture_gone") == "1"
        return None if gone else words("picture", 40) or None
    content = file.read(documents.MAX_BYTES + 1)
    if len(content) > documents.MAX_BYTES:
        raise PayloadTooLarge("A picture has at most 5 MB", field="picture_file")
    try:
        kind, drawn = pictures.photo(content)
    except pictures.PictureRefused as refused:
        raise Unprocessable(str(refused), code="picture_refused", field="picture_file") from refused
    return uploads.store(actor(), file.filename, kind, drawn).id


def typed(stored: Mapping[str, Any] | None) -> MultiDict[str, str]:
    """A stored page as its form shows it."""
    page = link_page.of(stored)
    shown = {
        "max_quantity": str(page.max_quantity or ""),
        "promotion_codes": "1" if page.promotion_codes else "",
        "picture": page.picture or "",
        **{f"message-{reason}": said for reason, said in page.messages.items()},
    }
    for number, question in enumerate(page.questions):
        shown[f"question-{number}-key"] = question.key
        shown[f"question-{number}-label"] = question.label
        shown[f"question-{number}-options"] = "\n".join(question.options)
        shown[f"question-{number}-required"] = "1" if question.required else ""
    return MultiDict(shown)


def choices(values: Mapping[str, str]) -> dict[str, Any]:
    """What the form is drawn from beside its values."""
    return {
        "question_count": MAX_FIELDS,
        "reasons": list(REASON_WORDS.items()),
        "has_messages": any(values.get(f"message-{reason}") for reason in REASONS),
    }
