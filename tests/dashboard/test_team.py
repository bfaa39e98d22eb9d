"""The team at the dashboard: invitations that work once, roles, signing out, disabling; nobody rises."""

from __future__ import annotations

import re
from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from flask import Flask

from app.db import reading
from app.domain.errors import Conflict, NotFound, PermissionDenied
from app.models.access.user import User
from app.models.events.journal import JournalEntry
from app.services.access import invitations, keys, roles, sign_ins, team, tokens, totp, users
from tests import desk, shops
from tests.desk import PASSWORD, Desk
from tests.shops import Shop

NEW = {"name": "Nora", "email": "nora@shop.test", "role": "read_only"}
CHOSEN = "wet owl under the bridge"


@pytest.fixture
def owner(app: Flask, shop: Shop) -> Desk:
    made = desk.at(app, shop)
    made.confirm("team")
    return made


def lead(app: Flask, shop: Shop) -> Desk:
    """Somebody who manages the team and may do little else."""
    roles.create(shop.operator, "lead", ["team.manage", "intents:read"])
    made = desk.at(app, shop, "lead")
    made.confirm("team")
    return made


def link_of(page: str) -> str:
    found = re.search(r"/dashboard/invitation/([\w-]+)", page)
    assert found is not None
    return found.group()


def role_of(user: User) -> str:
    return users.get(user.id)[0].role


def test_somebody_is_invited_by_a_link_that_works_once(app: Flask, owner: Desk, shop: Shop) -> None:
    made = owner.post("/team", NEW)
    assert made.status_code == 201
    link = link_of(made.text)
    assert link not in owner.get("/team").text and "Invited" in owner.get("/team").text
    newcomer = app.test_client()
    page = newcomer.get(link)
    assert "nora@shop.test" in page.text and page.headers["Referrer-Policy"] == "strict-origin"
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token is not None
    weak = newcomer.post(link, data={"csrf_token": token.group(1), "new_secret": "password"})
    assert weak.status_code == 422 and "12 to 128" in weak.text
    came = newcomer.post(link, data={"csrf_token": token.group(1), "new_secret": CHOSEN})
    assert came.status_code == 303
    assert newcomer.get("/dashboard/test").status_code == 200
    assert newcomer.get(link).status_code == 404
    assert users.check_password("nora@shop.test", CHOSEN, "192.0.2.1").needs_otp is False
    with reading() as db:
        mine = db.query(JournalEntry).filter_by(tenant_id=shop.actor.tenant_id, entity="user")
        rows = mine.order_by(JournalEntry.id).all()
    told = [row.type for row in rows]
    assert told[:3] == ["user.invited", "user.password_set", "user.signed_in"]
    assert all(link.rsplit("/", 1)[1] not in str(row.data) for row in rows)


def test_a_link_works_over_tls_and_its_token_is_in_no_referrer(
    app: Flask, owner: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In production a form over TLS has to come with a referrer, which is what the page's policy leaves of it."""
    monkeypatch.setitem(app.config, "WTF_CSRF_SSL_STRICT", True)
    _, token = invitations.invite(owner_actor(owner), "n@shop.test", "N", "read_only")
    newcomer, link = app.test_client(), f"/dashboard/invitation/{token}"
    page = newcomer.get(link, base_url="https://localhost")
    origin = "https://localhost/"
    sent = {"no-referrer": "", "strict-origin": origin}.get(page.headers["Referrer-Policy"], origin + link)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found is not None and token not in sent
    form = {"csrf_token": found.group(1), "new_secret": CHOSEN}
    done = newcomer.post(
        link, data=form, base_url="https://localhost", headers={"Referer": sent} if sent else {}
    )
    assert done.status_code == 303


def test_a_new_link_ends_the_one_before_and_an_old_one_lapses(owner: Desk, shop: Shop) -> None:
    first = link_of(owner.post("/team", NEW).text).rsplit("/", 1)[1]
    user = invitations.find(first)
    again = link_of(owner.post(f"/team/{user.id}/link").text).rsplit("/", 1)[1]
    with pytest.raises(NotFound):
        invitations.accept(first, CHOSEN)
    assert invitations.find(again).id == user.id
    with shops.later(7 * 86_400 + 1), pytest.raises(NotFound):
        invitations.find(again)
    totp.begin(user.id)
    totp.enable_without_code(user.id)
    page = owner.client.get(f"/dashboard/invitation/{again}")
    assert page.status_code == 200
    done = owner.client.post(
        f"/dashboard/invitation/{again}", data={"csrf_token": owner.csrf(), "new_secret": CHOSEN}
    )
    assert done.location == "/dashboard/sign-in", "the second factor is still asked for"
    assert users.get(user.id)[0].totp_enabled


def test_of_two_who_use_a_link_at_once_one_chooses_the_password(owner: Desk, shop: Shop) -> None:
    _, token = invitations.invite(owner_actor(owner), "n@shop.test", "N", "read_only")
    start, outcomes = Barrier(2), []

    def use(secret: str) -> None:
        start.wait()
        try:
            outcomes.append((invitations.accept(token, secret), secret))
        except NotFound:
            outcomes.append((None, secret))

    threads = [Thread(target=use, args=(f"{word} under the old bridge",)) for word in ("owl", "fox")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [won] = [secret for user, secret in outcomes if user is not None]
    assert users.check_password("n@shop.test", won, "192.0.2.1")


def test_a_link_lasts_no_longer_than_the_right_to_make_it(app: Flask, owner: Desk, shop: Shop) -> None:
    clerk, boss = lead(app, shop), owner_actor(owner)
    roles.create(shop.operator, "junior", ["intents:read"])
    risen, risen_token = invitations.invite(owner_actor(clerk), "r@shop.test", "R", "junior")
    grown, grown_token = invitations.invite(owner_actor(clerk), "g@shop.test", "G", "junior")
    _, kept = invitations.invite(boss, "k@shop.test", "K", "junior")
    assert invitations.find(risen_token).id == risen.id
    roles.assign(boss, "payments_admin", risen.id)
    with pytest.raises(NotFound):  # its maker would come into an account that may do everything
        invitations.accept(risen_token, CHOSEN)
    assert invitations.find(grown_token).id == grown.id
    roles.change(boss, "junior", ["intents:read", "refunds:create"], "")
    with pytest.raises(NotFound):
        invitations.accept(grown_token, CHOSEN)
    assert invitations.find(kept).email == "k@shop.test"
    _, left = invitations.invite(owner_actor(desk.at(app, shop, "admin")), "l@shop.test", "L", "admin")
    maker = users.by_email("admin@test-shop.test")
    assert maker is not None and invitations.find(left).email == "l@shop.test"
    team.disable(boss, maker.id)
    with pytest.raises(NotFound):  # whoever leaves takes no way in along
        invitations.accept(left, CHOSEN)


def test_a_new_password_ends_the_link_to_another(owner: Desk, shop: Shop) -> None:
    _, token = invitations.renew(owner_actor(owner), owner.user.id)
    users.change_password(owner.user.id, PASSWORD, CHOSEN, keep="")
    with pytest.raises(NotFound):
        invitations.accept(token, "fox under the old bridge")


def owner_actor(at: Desk):  # type: ignore[no-untyped-def]
    return tokens.person(at.user.id, "test")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"email": "nobody"}, "Enter an e-mail address"),
        ({"name": " "}, "Enter a name"),
        ({"role": "emperor"}, "Role not found"),
        ({"email": "PAYMENTS-ADMIN@test-shop.test"}, "has this address already"),
    ],
)
def test_an_invitation_that_cannot_be(owner: Desk, shop: Shop, wrong: dict[str, str], words: str) -> None:
    answer = owner.post("/team", {**NEW, **wrong})
    assert answer.status_code >= 400 and words in answer.text
    assert [person.id for person in team.list_all(shop.actor)] == [owner.user.id]


def test_a_role_is_given_and_signs_them_out(app: Flask, owner: Desk, shop: Shop) -> None:
    other = desk.at(app, shop, "read_only")
    page = f"/team/{other.user.id}"
    assert other.get("").status_code == 200
    assert owner.post(page + "/role", role="reconciler").status_code == 303
    assert role_of(other.user) == "reconciler"
    assert other.get("").location.startswith("/dashboard/sign-in")
    assert owner.post(f"/team/{owner.user.id}/role", role="read_only").status_code == 409, "the last admin"
    assert role_of(owner.user) == "payments_admin"


def test_nobody_rises_above_themselves_or_gets_into_a_greater_account(
    app: Flask, owner: Desk, shop: Shop
) -> None:
    clerk = lead(app, shop)
    mine, boss = f"/team/{clerk.user.id}", f"/team/{owner.user.id}"
    assert clerk.post(mine + "/role", role="payments_admin").status_code == 403
    assert clerk.post(boss + "/role", role="read_only").status_code == 403
    assert clerk.post(boss + "/link").status_code == 403, "a link would be a way into that account"
    assert clerk.post(boss + "/disable", keys="revoke").status_code == 403
    assert clerk.post("/team", {**NEW, "role": "payments_admin"}).status_code == 403
    assert clerk.post("/team/roles", name="king", permissions=["*"]).status_code == 403
    assert clerk.post("/team/roles", name="spy", permissions=["audit:read"]).status_code == 403
    assert "Payments admin" not in clerk.get("/team/new").text
    assert (role_of(clerk.user), role_of(owner.user)) == ("lead", "payments_admin")
    assert len(team.list_all(shop.actor)) == 2
    assert owner.get("").status_code == 200, "and nobody was signed out"


def test_disabling_says_what_becomes_of_their_keys(app: Flask, owner: Desk, shop: Shop) -> None:
    leaver = desk.at(app, shop, "admin")
    key, _ = keys.create(tokens.person(leaver.user.id, "test"), "Their server")
    page = f"/team/{leaver.user.id}"
    assert "1 API key in use depends on them" in owner.get(page + "/disable").text
    assert owner.post(page + "/disable").status_code == 409
    assert owner.post(page + "/disable", keys=owner.user.id).status_code == 303
    assert leaver.get("").location.startswith("/dashboard/sign-in")
    handed = next(item for item in keys.list_all(shop.actor) if item.id == key.id)
    assert (handed.created_by, handed.revoked_at) == (owner.user.id, None)
    assert owner.post(page + "/link").status_code == 409, "no link leads in meanwhile"
    assert owner.post(page + "/enable").status_code == 303
    assert users.check_password(leaver.user.email, PASSWORD, "192.0.2.1")
    assert owner.post(f"/team/{owner.user.id}/disable", keys=leaver.user.id).status_code == 303
    assert users.get(owner.user.id)[0].disabled_at is not None, "another admin is left"


def test_disabling_somebody_makes_no_key_of_theirs_do_more(app: Flask, owner: Desk, shop: Shop) -> None:
    clerk, leaver = lead(app, shop), desk.at(app, shop, "admin")
    _, secret = keys.create(tokens.person(leaver.user.id, "test"), "Their server")
    roles.create(shop.operator, "junior", ["intents:read"])
    roles.assign(owner_actor(owner), "junior", leaver.user.id)
    assert keys.authenticate(secret).permissions == {"intents:read"}
    page = f"/team/{leaver.user.id}"
    assert clerk.post(page + "/disable", keys=owner.user.id).status_code == 403
    assert keys.authenticate(secret).permissions == {"intents:read"}
    assert clerk.post(page + "/disable", keys=clerk.user.id).status_code == 303, "they hold all that it may"
    assert keys.authenticate(secret).permissions == {"team.manage", "intents:read"}


def test_the_last_who_may_do_everything_cannot_go(owner: Desk) -> None:
    assert owner.post(f"/team/{owner.user.id}/disable", keys="revoke").status_code == 409
    assert owner.get("").status_code == 200


def test_sign_ins_of_the_team_are_listed_and_ended(app: Flask, owner: Desk, shop: Shop) -> None:
    other = desk.at(app, shop, "read_only")
    again = desk.at(app, shop, user=other.user)
    first, second = sign_ins.list_open(other.user.id)
    page = f"/team/{other.user.id}"
    assert first.id in owner.get(page).text and second.id in owner.get(page).text
    assert owner.post(f"{page}/sign-ins/{second.id}/end").status_code == 303
    assert [item.id for item in sign_ins.list_open(other.user.id)] == [first.id]
    desk.at(app, shop, user=other.user)
    owner.post(f"{page}/sign-out")
    assert sign_ins.list_open(other.user.id) == []
    assert again.get("").status_code == other.get("").status_code == 303


def test_own_roles_are_made_of_permissions_changed_and_removed(app: Flask, owner: Desk, shop: Shop) -> None:
    new = {"name": "front_desk", "description": "At the till", "permissions": ["intents:read"]}
    assert owner.post("/team/roles", new).status_code == 303
    assert "Payments: see" in owner.get("/team/roles").text
    assert owner.post("/team/roles", new).status_code == 409
    assert owner.post("/team/roles", {**new, "name": "Front"}).status_code == 422
    assert owner.post("/team/roles", {**new, "name": "x2", "permissions": ["all"]}).status_code == 422
    clerk = desk.at(app, shop, "front_desk")
    assert clerk.get("/keys").status_code == 403
    more = {"description": "At the till", "permissions": ["intents:read", "api_keys.manage"]}
    assert owner.post("/team/roles/front_desk", more).status_code == 303
    assert clerk.get("/keys").status_code == 200, "it holds at once"
    assert owner.post("/team/roles/front_desk/remove").status_code == 409
    owner.post(f"/team/{clerk.user.id}/role", role="read_only")
    assert owner.post("/team/roles/front_desk/remove").status_code == 303
    assert roles.get_or_none(shop.actor, "front_desk") is None
    for built_in in ("admin", "read_only"):
        assert owner.post(f"/team/roles/{built_in}", more).status_code == 409
        assert owner.post(f"/team/roles/{built_in}/remove").status_code == 409
        assert "stays as it is" in owner.get(f"/team/roles/{built_in}").text


def test_a_role_with_everything_is_not_cut_where_it_is_the_last(shop: Shop) -> None:
    roles.create(shop.operator, "boss", ["*"])
    users.create(shop.actor.tenant_id, "boss@shop.test", "Boss", "boss", PASSWORD)
    with pytest.raises(Conflict) as refused:
        roles.change(shop.operator, "boss", ["intents:read"], "")
    assert refused.value.code == "last_admin"
    assert roles.get(shop.actor, "boss").permissions == ("*",)
    roles.create(shop.operator, "lead", ["team.manage", "intents:read"])
    user = users.create(shop.actor.tenant_id, "lead@shop.test", "L", "lead", PASSWORD)
    with pytest.raises(PermissionDenied):
        roles.change(tokens.person(user.id, "test"), "boss", ["intents:read"], "")


def test_rights_change_after_a_step_up_alone(app: Flask, shop: Shop) -> None:
    boss, other = desk.at(app, shop), desk.at(app, shop, "read_only")
    page = f"/team/{other.user.id}"
    for path, fields in (
        ("/team", NEW),
        (page + "/role", {"role": "admin"}),
        (page + "/link", {}),
        (page + "/disable", {}),
        (page + "/enable", {}),
        ("/team/roles", {"name": "r2", "permissions": "intents:read"}),
    ):
        answer = boss.post(path, fields)
        assert answer.status_code == 303 and "/dashboard/confirm?action=team" in answer.location, path
    assert role_of(other.user) == "read_only" and len(team.list_all(shop.actor)) == 2


def test_another_merchants_roles_are_not_there(owner: Desk) -> None:
    stranger = shops.make("Stranger")
    roles.create(stranger.operator, "theirs", ["intents:read"])
    assert owner.get("/team/roles/theirs").status_code == 404
    assert owner.post("/team/roles/theirs/remove").status_code == 404


def test_links_that_are_too_old_are_dropped(owner: Desk) -> None:
    owner.post("/team", NEW)
    assert invitations.clean() == 0
    with shops.later(7 * 86_400 + 1):
        assert invitations.clean() == 1


def test_a_key_of_test_mode_changes_nobodys_rights_and_no_role(owner: Desk, shop: Shop) -> None:
    key, somebody = shop.actor, owner.user.id
    roles.create(shop.operator, "mine", ["intents:read"])
    tries: list[Callable[[], object]] = [
        lambda: invitations.invite(key, "k@shop.test", "K", "read_only"),
        lambda: invitations.renew(key, somebody),
        lambda: roles.create(key, "theirs", ["intents:read"]),
        lambda: roles.change(key, "mine", ["*"], ""),
        lambda: roles.remove(key, "mine"),
        lambda: roles.assign(key, "mine", somebody),
        lambda: team.sign_out(key, somebody),
        lambda: team.disable(key, somebody),
        lambda: team.enable(key, somebody),
    ]
    for attempt in tries:
        with pytest.raises(PermissionDenied) as refused:
            attempt()
        assert refused.value.code == "live_mode_required"
    assert roles.get(shop.operator, "mine").permissions == ("intents:read",)
    assert [role.name for role in roles.list_all(shop.operator) if not role.built_in] == ["mine"]
    assert role_of(owner.user) == "payments_admin" and sign_ins.list_open(somebody) != []
