"""Receipts as PDF files, drawn by fpdf2 when one is asked for (docs/adr/0020).

A receipt with letters that no typeface of ours has is read on its page, which browsers print to a file; signs
that are no letters are left out (docs/adr/0035).
"""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from babel.dates import format_datetime
from flask_babel import gettext as _

from app.domain.actor import TenantProfile
from app.domain.money import format_money
from app.kit.words import N_
from app.pages import receipt_fonts
from app.services.access import logos
from app.services.checkout.receipts import Shown
from app.web.languages import direction, language

if TYPE_CHECKING:
    from fpdf import FPDF

_METHODS = {
    "card": N_("Card"),
    "buy_now_pay_later": N_("Pay later"),
    "bank_transfer": N_("Bank transfer"),
    "sepa_debit": N_("SEPA direct debit"),
    "us_bank_account": N_("US bank account"),
    "ach_debit": N_("US bank account"),
    "bank_account": N_("Bank account"),
    "gift_card": N_("Gift card"),
}
#: Millimetres of an A4 page, and of a line of text.
MARGIN, WIDTH, LINE = 20, 170, 6
#: Millimetres that a logo may take, and the colour of a plate behind a pale one.
LOGO_WIDTH, LOGO_HEIGHT, DARK = 60, 14, (18, 32, 26)


def can_draw(shown: Shown) -> bool:
    """Whether there is a letter for everything that a receipt says."""
    return receipt_fonts.can_write(_text_of(shown.receipt.content))


def draw(shown: Shown) -> bytes:
    """The file of a receipt, in the reader's language; the same receipt gives the same bytes."""
    receipt = shown.receipt
    content = receipt_fonts.without_signs(receipt.content)
    title = f"{_('Receipt')} {receipt.public_number}"
    pdf = _page(title, shown.profile, content["seller"]["name"], receipt.issued_at, _text_of(content))
    if receipt.voided_at:
        _text(pdf, _("This receipt is void."), bold=True)
    for line in content["lines"]:
        price = _money(line["unit_price"], receipt.currency)
        name = line["name"] if line["quantity"] == 1 else _of_many(line["quantity"], line["name"], price)
        _row(pdf, name, _money(line["quantity"] * line["unit_price"], receipt.currency))
    _rule(pdf)
    for label, amount in _sums(content["totals"]):
        _row(pdf, label, _money(amount, receipt.currency))
    _row(pdf, _("Total"), _money(content["totals"]["grand_total"], receipt.currency), bold=True)
    if receipt.amount != content["totals"]["grand_total"]:
        _row(pdf, _("Paid"), _money(receipt.amount, receipt.currency))
    if shown.refunded:
        _row(pdf, _("Refunded"), _money(shown.refunded, receipt.currency))
    _rule(pdf)
    for label, value in _facts(receipt.order_id, content):
        _row(pdf, label, value)
    return bytes(pdf.output())


def _text_of(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)


def _page(title: str, profile: TenantProfile, seller: str, issued_at: datetime, text: str) -> FPDF:
    from fpdf import FPDF  # half a second and some megabytes, for those who want a file

    pdf = FPDF(format="A4")
    pdf.set_margin(MARGIN)
    receipt_fonts.add_to(pdf, text, language())
    pdf.set_text_shaping(True)
    pdf.set_title(title)
    pdf.set_author(seller)
    pdf.set_creator("Till")
    pdf.set_lang(language())
    pdf.set_creation_date(issued_at)
    pdf.add_page()
    _logo(pdf, profile)
    _text(pdf, seller, size=12)
    _text(pdf, title, size=20, bold=True)
    pdf.ln(LINE)
    return pdf


def _logo(pdf: FPDF, profile: TenantProfile) -> None:
    """The merchant's logo where reading starts, on a dark plate where it could not be seen on paper."""
    logo, picture = logos.of(profile), logos.for_paper(profile)
    if logo is None or picture is None:
        return
    scale = min(LOGO_WIDTH / logo.width, LOGO_HEIGHT / logo.height)
    wide, high = logo.width * scale, logo.height * scale
    plate = 2 if logo.backing == "dark" else 0
    left = MARGIN + (WIDTH - wide - 2 * plate if direction(language()) == "rtl" else 0)
    top = pdf.get_y()
    if plate:
        pdf.set_fill_color(*DARK)
        pdf.rect(left, top, wide + 2 * plate, high + 2 * plate, "F")
    pdf.image(io.BytesIO(picture), left + plate, top + plate, wide, high, alt_text=profile.name)
    pdf.set_y(top + high + 2 * plate + LINE / 2)


def _of_many(quantity: int, name: str, price: str) -> str:
    """What several were bought of; a mark keeps the price in order where it stands after Arabic letters."""
    mark = "" if direction(language()) == "rtl" else "\N{LEFT-TO-RIGHT MARK}"
    return f"{quantity} × {name}{mark} ({price})"


def _sums(totals: dict[str, Any]) -> list[tuple[str, int]]:
    """What leads from the goods to the total."""
    extras = [
        (_("Discount"), -totals["discount_total"]),
        (_("Delivery"), totals["shipping_total"]),
        (_("Tax"), totals["tax_total"]),
        (_("Fees"), totals["fee_total"]),
    ]
    return [(_("Subtotal"), totals["sub_total"]), *((label, amount) for label, amount in extras if amount)]


def _facts(order_id: str | None, content: dict[str, Any]) -> list[tuple[str, str]]:
    payment, buyer = content["payment"] or {}, content["buyer"]
    card = f"{(payment.get('brand') or '').title()} •••• {payment['last4']}" if payment.get("last4") else None
    paid_at = datetime.fromisoformat(content["paid_at"])
    found = [
        (_("Date"), format_datetime(paid_at, "medium", locale=language())),
        (_("Order"), order_id),
        (_("Reference"), content["reference"]),
        (_("Paid with"), card or _method(payment.get("type"))),
        (_("Paid to"), content["seller"]["name"]),
        (_("Paid by"), buyer.get("name") or buyer.get("email")),
    ]
    return [(label, value) for label, value in found if value]


def _method(code: str | None) -> str | None:
    """A payment method's name; brands are the same in every language."""
    return _(_METHODS[code]) if code in _METHODS else (code or "").replace("_", " ").title() or None


def _money(minor: int, currency: str) -> str:
    return format_money(minor, currency, language())


def _text(pdf: FPDF, text: str, *, size: int = 10, bold: bool = False) -> None:
    align = "R" if direction(language()) == "rtl" else "L"
    _choose(pdf, size, bold)
    pdf.multi_cell(WIDTH, size * 0.6, text, align=align, new_x="LMARGIN", new_y="NEXT")


def _choose(pdf: FPDF, size: float, bold: bool) -> None:
    """Write on in the first typeface.

    A blank sets it for the whole page: where a line begins in another one, fpdf2 sets it for that line alone
    and believes that it stays.
    """
    pdf.set_font(receipt_fonts.FAMILY, "B" if bold else "", size)
    pdf.text(pdf.get_x(), pdf.get_y(), " ")


def _row(pdf: FPDF, left: str, right: str, *, bold: bool = False) -> None:
    """Two columns, the first where reading starts; a long text takes more lines, and no row is torn apart."""
    pdf.set_font(receipt_fonts.FAMILY, "B" if bold else "", 10)
    widths = (WIDTH * 0.65, WIDTH * 0.35)
    tall = max(
        cast(float, pdf.multi_cell(width, LINE, text, dry_run=True, output="HEIGHT"))
        for width, text in zip(widths, (left, right), strict=True)
    )
    if pdf.will_page_break(tall):
        pdf.add_page()
    top, cells = pdf.get_y(), ((widths[0], left, "L"), (widths[1], right, "R"))
    if direction(language()) == "rtl":
        cells = ((widths[1], right, "L"), (widths[0], left, "R"))
    for start, (width, text, align) in zip((MARGIN, MARGIN + cells[0][0]), cells, strict=True):
        pdf.set_xy(start, top)
        _choose(pdf, 10, bold)
        pdf.multi_cell(width, LINE, text, align=align)
    pdf.set_xy(MARGIN, top + tall)


def _rule(pdf: FPDF) -> None:
    pdf.ln(2)
    pdf.line(MARGIN, pdf.get_y(), MARGIN + WIDTH, pdf.get_y())
    pdf.ln(2)
