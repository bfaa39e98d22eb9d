"""File formats of exports: each writer takes rows and writes them at once, so that memory stays small.

CSV, JSON and Parquet take a dataset's columns. QBO (Web Connect, OFX 1.02) and Xero's statement CSV are bank
statements: they take movements of one currency, in major units.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol
from xml.sax.saxutils import escape

from app.domain import money
from app.kit import clock
from app.models.operations.export import Export
from app.services.operations.exporting.datasets import Column, Row, opening_balance

#: A cell that begins with one of these is a formula to a spreadsheet (reliability.md 41); the last four are
#: their full-width forms, which a spreadsheet in Japanese takes for them.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
#: Parquet rows are gathered into groups of about this many.
_ROW_GROUP = 20_000


class Writer(Protocol):
    """Writes rows to a file that is open; `close` ends the document, not the file."""

    def add(self, row: Row) -> None:
        """Write one row."""
        ...

    def close(self) -> None:
        """Write what ends the document."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A format: how its files end, what they are called on the web, who writes them.

    A `statement` is written from movements; `needs` is the module without which it cannot be.
    """

    suffix: str
    media_type: str
    writer: Callable[[BinaryIO, Sequence[Column], Export], Writer]
    statement: bool = False
    needs: str | None = None

    @property
    def available(self) -> bool:
        """Whether this installation can write it."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


def cell(value: Any) -> Any:
    """A value as a cell: instants in UTC, and a text that a spreadsheet would run is quoted."""
    if isinstance(value, datetime):
        return clock.to_rfc3339(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


class CsvWriter:
    """Comma-separated, RFC 4180, UTF-8, with a line of names."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column], export: Export) -> None:
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        self._out = csv.writer(self._text)
        self._names = [column.name for column in columns]
        self._out.writerow(self._names)

    def add(self, row: Row) -> None:
        """See `Writer`."""
        self._out.writerow([cell(row.get(name)) for name in self._names])

    def close(self) -> None:
        """See `Writer`."""
        self._text.detach()


class JsonWriter:
    """An array with an object on each line."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column], export: Export) -> None:
        self._file, self._names, self._before = file, [column.name for column in columns], b"[\n"

    def add(self, row: Row) -> None:
        """See `Writer`."""
        values = {name: row.get(name) for name in self._names}
        text = json.dumps(values, default=clock.to_rfc3339, ensure_ascii=False, separators=(",", ":"))
        self._file.write(self._before + text.encode())
        self._before = b",\n"

    def close(self) -> None:
        """See `Writer`."""
        self._file.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")


class ParquetWriter:
    """Parquet with typed columns, a row group at a time; needs pyarrow, which is an extra (docs/adr/0009)."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column], export: Export) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        kinds = {"text": pa.string(), "integer": pa.int64(), "instant": pa.timestamp("us", tz="UTC")}
        self._table = pa.Table
        self._schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])
        self._out = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """See `Writer`."""
        self._rows.append(row)
        if len(self._rows) >= _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """See `Writer`."""
        if self._rows:
            self._flush()
        self._out.close()

    def _flush(self) -> None:
        names = self._schema.names
        columns = [{name: row.get(name) for name in names} for row in self._rows]
        self._out.write_table(self._table.from_pylist(columns, schema=self._schema))
        self._rows.clear()


class XeroWriter:
    """The CSV that Xero imports as a bank statement."""

    HEAD = (
        "*Date",
        "*Amount",
        "Payee",
        "Description",
        "Reference",
        "Transaction Type",
        "Account Code",
        "Currency",
    )

    def __init__(self, file: BinaryIO, columns: Sequence[Column], export: Export) -> None:
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        self._out = csv.writer(self._text)
        self._out.writerow(self.HEAD)

    def add(self, row: Row) -> None:
        """See `Writer`."""
        self._out.writerow(
            (
                row["posted_at"].astimezone(UTC).strftime("%Y-%m-%d"),
                _major(row),
                cell(row["payment_intent_id"]),
                cell(_words(row)),
                cell(row["source"]),
                "CREDIT" if row["amount"] >= 0 else "DEBIT",
                cell(row["gl_account"]),
                row["currency"],
            )
        )

    def close(self) -> None:
        """See `Writer`."""
        self._text.detach()


class QboWriter:
    """A bank statement as QuickBooks takes it by Web Connect: OFX 1.02 in SGML, ASCII."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column], export: Export) -> None:
        self._file, self._export, self._begun = file, export, False
        self._balance = opening_balance(export)

    def _begin(self, start: datetime) -> None:
        """Write the head; without a `since` the statement starts with its first movement."""
        export, self._begun = self._export, True
        account = escape(export.tenant_id)[:22]
        self._write(
            "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nSECURITY:NONE\nENCODING:USASCII\nCHARSET:1252\n"
            "COMPRESSION:NONE\nOLDFILEUID:NONE\nNEWFILEUID:NONE\n\n"
            "<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS>"
            f"<DTSERVER>{_ofx(export.created_at)}<LANGUAGE>ENG<FI><ORG>Till<FID>3000</FI>"
            "<INTU.BID>3000</SONRS></SIGNONMSGSRSV1>\n"
            f"<BANKMSGSRSV1><STMTTRNRS><TRNUID>{export.id}<STATUS><CODE>0<SEVERITY>INFO</STATUS>"
            f"<STMTRS><CURDEF>{export.filters['currency']}"
            f"<BANKACCTFROM><BANKID>000000000<ACCTID>{account}<ACCTTYPE>CHECKING</BANKACCTFROM>"
            f"<BANKTRANLIST><DTSTART>{_ofx(start)}<DTEND>{_ofx(export.until)}\n"
        )

    def add(self, row: Row) -> None:
        """See `Writer`."""
        if not self._begun:
            self._begin(self._export.since or row["posted_at"])
        self._balance += row["amount"]
        memo = _words(row) + (f" / {row['gl_account']}" if row["gl_account"] else "")
        self._write(
            f"<STMTTRN><TRNTYPE>{'CREDIT' if row['amount'] >= 0 else 'DEBIT'}"
            f"<DTPOSTED>{_ofx(row['posted_at'])}<TRNAMT>{_major(row)}<FITID>{row['id']}"
            f"<NAME>{escape(row['kind'])[:32]}<MEMO>{escape(memo)[:255]}</STMTTRN>\n"
        )

    def close(self) -> None:
        """See `Writer`."""
        if not self._begun:
            self._begin(self._export.since or self._export.until)
        total = money.to_major(self._balance, self._export.filters["currency"])
        self._write(
            f"</BANKTRANLIST><LEDGERBAL><BALAMT>{total:f}<DTASOF>{_ofx(self._export.until)}</LEDGERBAL>"
            "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>\n"
        )

    def _write(self, text: str) -> None:
        self._file.write(text.encode("ascii", "replace"))


def _major(row: Row) -> str:
    """Major units with all their decimals and no exponent: a number, so it is never quoted."""
    return f"{money.to_major(row['amount'], row['currency']):f}"


def _words(row: Row) -> str:
    return f"{row['kind'].replace('_', ' ')} {row['payment_intent_id'] or row['source']}"


def _ofx(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y%m%d%H%M%S") + "[0:GMT]"


FORMATS: dict[str, Format] = {
    "csv": Format("csv", "text/csv", CsvWriter),
    "json": Format("json", "application/json", JsonWriter),
    "parquet": Format("parquet", "application/vnd.apache.parquet", ParquetWriter, needs="pyarrow"),
    "qbo": Format("qbo", "application/vnd.intu.qbo", QboWriter, statement=True),
    "xero": Format("csv", "text/csv", XeroWriter, statement=True),
}
