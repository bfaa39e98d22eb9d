"""Documents of disputes are kept as long as the merchant says after the end, their hashes for good (PY-080)."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import settings
from app.db import reading
from app.domain.errors import NotFound
from app.kit import clock
from app.models.events.journal import JournalEntry
from app.models.payments.dispute import Dispute
from app.services.operations import settings as choices
from app.services.payments import dispute_evidence, disputes, evidence_retention, uploads
from app.services.payments.dispute_evidence import EvidenceDraft
from tests.disputes import by_hand
from tests.shops import Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")

DAY = 86_400


def answered(shop: Shop, *upload_ids: str) -> Dispute:
    """A dispute that these documents are the answer to."""
    dispute = by_hand(shop.actor)
    items = [EvidenceDraft("pdf", upload_id=upload_id) for upload_id in upload_ids]
    dispute_evidence.submit(shop.actor, dispute.id, items, "Signed for")
    return dispute


def ended(shop: Shop, *upload_ids: str) -> Dispute:
    return disputes.close(shop.actor, answered(shop, *upload_ids).id, "lost", "")


def stored(shop: Shop, name: str) -> str:
    return uploads.store(shop.actor, name, "application/pdf", b"%PDF-1.7 " + name.encode()).id


def files(shop: Shop) -> set[str]:
    folder: Path = settings.current().data_dir / "uploads" / shop.actor.tenant_id
    return {path.name.partition(".")[0] for path in folder.iterdir()}


def test_a_document_goes_when_the_last_of_its_disputes_has_been_over_for_so_long(shop: Shop) -> None:
    choices.change(shop.actor, {"dispute_retention_days": 30})
    other = make("Another shop")
    alone, shared, theirs = stored(shop, "alone"), stored(shop, "shared"), stored(other, "theirs")
    unused = stored(shop, "unused")
    first, second = ended(shop, alone, shared), answered(shop, shared)
    ended(other, theirs)
    with later(29 * DAY):
        assert evidence_retention.clean() == 0
    with later(31 * DAY):
        assert evidence_retention.clean() == 1
        assert evidence_retention.clean() == 0
        assert not evidence_retention._delete(shared, clock.now()), "it was handed in again meanwhile"
        assert files(shop) == {shared, unused}
        disputes.close(shop.actor, second.id, "won", "")
    with later(62 * DAY):
        assert evidence_retention.clean() == 1
    assert (files(shop), files(other)) == ({unused}, {theirs}), "the other merchant keeps them for 540 days"
    items = [item for item, _ in dispute_evidence.of_dispute(shop.actor, first.id)]
    assert [item.upload_id for item in items] == [alone, shared, None]
    assert all(item.sha256 for item in items) and items[2].text == "Signed for"
    for refused in (
        lambda: uploads.content(shop.actor, alone),
        lambda: answered(shop, alone),
    ):
        with pytest.raises(NotFound) as gone:
            refused()
        assert gone.value.code == "upload_deleted"
    with reading() as db:
        told = db.query(JournalEntry).filter_by(type="upload.deleted").order_by(JournalEntry.id).all()
        assert [(row.entity_id, row.cause) for row in told] == [(alone, "retention"), (shared, "retention")]
        assert told[0].data["after"]["sha256"] == items[0].sha256


def test_a_file_that_outlived_its_row_is_found_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    document = stored(shop, "proof")
    ended(shop, document)

    def dies(_: object) -> None:
        raise OSError("killed")

    with later(541 * DAY):
        with monkeypatch.context() as patched:
            patched.setattr(uploads, "unlink", dies)
            with pytest.raises(OSError, match="killed"):
                evidence_retention.clean()
        assert files(shop) == {document}
        assert evidence_retention.clean() == 0
        assert files(shop) == set()
