from tests.api.test_webhook_surfaces import *
from sqlalchemy import text
from app.db import reading
@pytest.mark.parametrize("surface", SURFACES[:1])
def test_dbg(client, shop, receiver, surface):
    made = client.post(f"{surface}/webhooks", json={**BODY, "url": receiver.url("/ok/dbg")}, headers=shop.bearer).get_json()
    headers = {**shop.bearer, "Idempotency-Key": "trial-1"}
    body = {"webhook_id": made["id"], "event": "checkout.completed"}
    for _ in range(2):
        print(client.post(f"{surface}/webhooks/test", json=body, headers=headers).headers)
        with reading() as db: print(db.execute(text("select scope_hash,status,lease_until,created_at from idempotency_records")).all())
    assert 0
