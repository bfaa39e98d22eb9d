"""Where exports go: a folder of this installation, or an S3-compatible store (OP-48, docs/adr/0009).

Callers choose a place within what the operator allows (`TILL_EXPORT_S3_ROOTS`): the credentials are the
installation's, so that a merchant must not reach another's bucket with them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from app import settings
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, ServiceUnavailable, Unprocessable

if TYPE_CHECKING:
    from obstore.store import S3Store

LOCAL = "local"
_S3 = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?P<prefix>(?:/[A-Za-z0-9!_.*'()=\-]+)*)/?"
)
#: A part is kept in memory while it is sent: two at a time.
_PART_BYTES, _PARTS_AT_ONCE = 5 * 1024 * 1024, 2


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket and a prefix without slashes around it."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> S3Place | None:
        """The place that a `s3://…` names, or None where it is none."""
        found = _S3.fullmatch(text)
        if found is None or {".", ".."} & set(found["prefix"].split("/")):
            return None
        return cls(found["bucket"], found["prefix"].strip("/"))

    def within(self, root: S3Place) -> bool:
        """Whether this is `root` or lies below it."""
        path, above = f"{self.prefix}/", f"{root.prefix}/" if root.prefix else ""
        return self.bucket == root.bucket and path.startswith(above)

    def key(self, name: str) -> str:
        """The key of a file at this place."""
        return f"{self.prefix}/{name}" if self.prefix else name


def check(actor: Actor, destination: str) -> None:
    """Whether this caller may export to there.

    Raises:
        InvalidRequest: not `local` and no address of a bucket.
        Unprocessable: no store is set up, or it is not below what the operator allows.
    """
    if destination == LOCAL:
        return
    place = S3Place.parse(destination)
    if place is None:
        raise InvalidRequest(
            "A destination is local or s3://bucket/prefix; the name of a bucket has 3 to 63 characters",
            code="invalid_destination",
            field="destination",
        )
    roots = settings.current().export_s3_roots
    if not roots:
        raise Unprocessable(
            "No object store is set up here", code="destination_not_configured", field="destination"
        )
    allowed = (S3Place.parse(root.replace("{tenant}", actor.tenant.slug)) for root in roots)
    if not any(place.within(root) for root in allowed if root):
        raise Unprocessable(
            "Exports of this merchant may not go there", code="destination_not_allowed", field="destination"
        )


def folder() -> Path:
    """The folder of exports, made when it is missing; nobody else on this machine may look into it."""
    made = settings.current().data_dir / "exports"
    made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made


def deliver(draft: Path, destination: str, name: str) -> None:
    """Put a finished file where it belongs, at once and whole; doing it again replaces it by the same.

    Raises:
        ServiceUnavailable: the store did not take it.
    """
    if destination == LOCAL:
        os.replace(draft, folder() / name)
        return
    place = S3Place.parse(destination)
    assert place is not None
    import obstore

    with draft.open("rb") as file:
        try:
            obstore.put(
                _store(place.bucket),
                place.key(name),
                file,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        except (obstore.exceptions.BaseError, OSError) as error:  # a missing bucket is a FileNotFoundError
            raise ServiceUnavailable(f"The object store did not take it: {type(error).__name__}") from error


def location(destination: str, name: str) -> str | None:
    """Where a finished export lies in a store; None for the local folder."""
    place = S3Place.parse(destination)
    return f"s3://{place.bucket}/{place.key(name)}" if place else None


def presigned(destination: str, name: str, seconds: int) -> str | None:
    """A URL that opens a finished export in a store for so long, without credentials.

    None where the store is no longer set up.
    """
    place = S3Place.parse(destination)
    if place is None or not settings.current().export_s3_roots:
        return None
    import obstore

    try:
        return obstore.sign(_store(place.bucket), "GET", place.key(name), timedelta(seconds=seconds))
    except obstore.exceptions.BaseError:
        return None


def _store(bucket: str) -> S3Store:
    """The store; without credentials in the settings, the machine's own are used."""
    from obstore.store import S3Store

    current = settings.current()
    config: dict[str, object] = {"region": current.export_s3_region}
    if current.export_s3_endpoint:
        config |= {"endpoint": current.export_s3_endpoint, "virtual_hosted_style_request": False}
    if current.export_s3_access_key_id and current.export_s3_secret_access_key:
        config["access_key_id"] = current.export_s3_access_key_id
        config["secret_access_key"] = current.export_s3_secret_access_key.get_secret_value()
    plain = (current.export_s3_endpoint or "").startswith("http://")
    return S3Store(
        bucket,
        config=config,  # type: ignore[arg-type]
        client_options={
            "allow_http": plain,
            "timeout": timedelta(seconds=60),
            "connect_timeout": timedelta(seconds=5),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=30)},
    )
