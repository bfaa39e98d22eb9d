"""The command line: `flask …` (running.md)."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup

from app import migrations
from app.api import SURFACES
from app.domain.actor import Actor, system_actor
from app.domain.errors import DomainError, InvalidRequest
from app.domain.lifecycles.mermaid import render
from app.domain.lifecycles.registry import ALL
from app.kit import clock
from app.models.access.user import User
from app.services.access import keys as key_service
from app.services.access import team, tenants, totp
from app.services.access import tokens as token_service
from app.services.access import users as user_service
from app.services.checkout import demo as demo_service
from app.services.checkout import demo_volume, gift_cards
from app.services.events import audit, replays, webhooks
from app.services.operations import csp_reports, encryption_rotation, invariants, test_clock
from app.services.payments import kyc_documents
from app.web.openapi import document
from app.worker import run, supervisor


class Group(AppGroup):
    """Commands that tell a refusal in one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except DomainError as refused:
            raise click.ClickException(refused.message) from refused


database = Group("db", help="The database's schema.")
merchants = Group("tenants", help="Merchants.")
keys = Group("keys", help="API keys.")
users = Group("users", help="People of the dashboard.")
cards = Group("gift-cards", help="Gift cards.")
clocks = Group("clock", help="A merchant's test clock.")
hooks = Group("webhooks", help="Webhook deliveries.")

#: An instant on the command line, in UTC.
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


def register(app: Flask) -> None:
    """Add the commands."""
    for command in (
        *(database, merchants, keys, users, cards, clocks, hooks),
        *(demo, worker, worker_child, serve, doctor, reported, diagrams, openapi),
    ):
        app.cli.add_command(command)


@database.command("upgrade")
def upgrade() -> None:
    """Bring the schema up to date."""
    migrations.upgrade()


@click.command()
@click.option("--tenant", "name", default=demo_service.DEFAULT_NAME, help="Another merchant's name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output alone.")
@click.option(
    "--volume",
    type=click.IntRange(1, 100_000),
    help="So many visits over the last weeks, with payments, refunds and disputes.",
)
def demo(name: str, as_json: bool, volume: int | None) -> None:
    """Make the demo merchant, or roll its keys and passwords."""
    migrations.upgrade()
    try:
        made = demo_service.make(name)
    except InvalidRequest as refused:
        raise click.ClickException(refused.message) from refused
    if volume:
        tenant = tenants.by_slug(demo_service.slug_for(name))
        assert tenant is not None, "it was just made"
        with click.progressbar(length=volume, label="Trading", file=sys.stderr) as bar:
            demo_volume.grow(tenant, volume, lambda _: bar.update(1))
    if as_json:
        click.echo(json.dumps(made, indent=2))
    else:
        click.echo(supervisor.welcome(made))


@click.command()
def worker() -> None:
    """Deliver webhooks, run jobs and sweeps until stopped."""
    run.main()


@click.command("worker-child", hidden=True)
@click.argument("parent", type=int)
def worker_child(parent: int) -> None:
    """The worker beside a web server: it stops when its parent is gone."""
    run.main(parent=parent)


@click.command()
@click.option("--demo/--no-demo", "with_demo", default=True, help="Make the demo merchant first.")
def serve(with_demo: bool) -> None:
    """Run the web server and the worker together; they end together."""
    sys.exit(supervisor.serve(with_demo=with_demo))


@click.command()
def doctor() -> None:
    """Check what must always hold: invariants and audit chains."""
    problems = [f"{v.rule}: {v.entity_id}: {v.detail}" for v in invariants.check()]
    for tenant_id in tenants.all_ids():
        problems += [f"audit chain of {tenant_id}: {text}" for text in audit.verify(tenant_id)]
    for problem in problems:
        click.echo(problem, err=True)
    click.echo(f"{len(problems)} problems" if problems else "Everything holds.")
    sys.exit(1 if problems else 0)


@click.command("csp-reports")
@click.option("--days", type=click.IntRange(1, 90), default=7)
def reported(days: int) -> None:
    """Print what browsers reported of pages that broke their Content-Security-Policy."""
    for row in csp_reports.latest(days):
        click.echo(f"{row.day} {row.count:>6} {row.route} {row.directive} {row.blocked}")


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("docs/diagrams"))
def diagrams(folder: Path) -> None:
    """Draw every lifecycle table as a Mermaid diagram."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lifecycle in ALL.items():
        title = name.replace("_", " ").capitalize()
        (folder / f"{name}.md").write_text(f"# {title}\n\n```mermaid\n{render(lifecycle)}```\n")
    click.echo(f"{len(ALL)} diagrams in {folder}")


@click.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    click.echo(json.dumps(document(SURFACES), indent=2, sort_keys=True))


@merchants.command("suspend")
@click.argument("tenant_slug")
@click.option("--reason", default="", help="Why, for the audit.")
def suspend(tenant_slug: str, reason: str) -> None:
    """Let nobody of a merchant in and begin no new payment; what is under way goes on to its end."""
    tenants.suspend(_operator(tenant_slug, "live"), reason)
    click.echo("done")


@merchants.command("resume")
@click.argument("tenant_slug")
def resume(tenant_slug: str) -> None:
    """Let everybody of a merchant in again."""
    tenants.resume(_operator(tenant_slug, "live"))
    click.echo("done")


@keys.command("create")
@click.argument("tenant_slug")
@click.argument("name")
@click.option("--mode", type=click.Choice(["test", "live"]), default="test")
@click.option("--kind", type=click.Choice(["sk", "pk"]), default="sk")
def create_key(tenant_slug: str, name: str, mode: str, kind: str) -> None:
    """Make a key and print it: the only time that it is shown."""
    _, plaintext = key_service.create(_operator(tenant_slug, mode), name, kind=kind)
    click.echo(plaintext)


@keys.command("inbound")
@click.argument("tenant_slug")
@click.argument("kind", type=click.Choice(tenants.INBOUND))
def inbound(tenant_slug: str, kind: str) -> None:
    """Print the secret with which other systems sign what they send a merchant."""
    click.echo(tenants.inbound_secret(_operator(tenant_slug, "test"), kind))


@keys.command("rotate-encryption")
def rotate_encryption() -> None:
    """Bring everything encrypted under the first key of TILL_ENCRYPTION_KEYS, while the app serves."""
    counts = [*encryption_rotation.rotate(), kyc_documents.rotate()]
    for count in counts:
        click.echo(f"{count.name:36} {count.rotated:7} rotated {count.unreadable:7} unreadable")
    if any(count.unreadable for count in counts):
        raise click.ClickException("something is under a key that TILL_ENCRYPTION_KEYS does not have")


@keys.command("list")
@click.argument("tenant_slug")
@click.option("--mode", type=click.Choice(["test", "live"]), default="test")
def list_keys(tenant_slug: str, mode: str) -> None:
    """List a merchant's keys."""
    for key in key_service.list_all(_operator(tenant_slug, mode)):
        over = key.expires_at is not None and key.expires_at <= clock.now()
        state = "revoked" if key.revoked_at else "expired" if over else "active"
        click.echo(f"{key.id}  {key.prefix}_…{key.last4}  {state:8}  {key.name}")


@keys.command("revoke")
@click.argument("tenant_slug")
@click.argument("key_id")
@click.option("--mode", type=click.Choice(["test", "live"]), default="test")
def revoke_key(tenant_slug: str, key_id: str, mode: str) -> None:
    """Revoke a key: it is refused from the next request on."""
    key = key_service.revoke(_operator(tenant_slug, mode), key_id)
    click.echo(f"revoked at {clock.to_rfc3339(key.revoked_at)}" if key.revoked_at else "")


@keys.command("roll")
@click.argument("tenant_slug")
@click.argument("key_id")
@click.option("--hours", type=click.IntRange(0, 168), default=24, help="So long the old key works on.")
@click.option("--mode", type=click.Choice(["test", "live"]), default="test")
def roll_key(tenant_slug: str, key_id: str, hours: int, mode: str) -> None:
    """Print a key that takes another's place; the old one works on for a day."""
    made = key_service.roll(_operator(tenant_slug, mode), key_id, overlap_seconds=hours * 3600)
    click.echo(made[1])


@users.command("create")
@click.argument("tenant_slug")
@click.argument("email")
@click.option("--name", default="")
@click.option(
    "--role",
    type=click.Choice(["payments_admin", "admin", "reconciler", "read_only"]),
    default="payments_admin",
)
@click.password_option()
def create_user(tenant_slug: str, email: str, name: str, role: str, password: str) -> None:
    """Add a person to a merchant."""
    if user_service.by_email(email) is not None:
        raise click.ClickException("this address is taken")
    user = user_service.create(_operator(tenant_slug, "test").tenant_id, email, name or email, role, password)
    click.echo(user.id)


@users.command("token")
@click.argument("email")
@click.option("--mode", type=click.Choice(["test", "live"]), default="test")
@click.option("--act", help="Who you are: the audit says that you act in their name.")
def mint_token(email: str, mode: str, act: str | None) -> None:
    """Print a bearer token of ten minutes for a person."""
    user_id = _person(email).id
    if act is not None:
        click.echo(token_service.impersonate(user_id, mode, act))
    else:
        click.echo(token_service.hand_out(user_id, mode, _name()))


@users.command("end-tokens")
@click.argument("tenant_slug")
def end_tokens(tenant_slug: str) -> None:
    """Sign everybody of a merchant out, and end the tokens of its keys; the keys go on."""
    tenants.end_tokens(_operator(tenant_slug, "live"))
    click.echo("done")


@users.command("password")
@click.argument("email")
@click.password_option()
def set_password(email: str, password: str) -> None:
    """Give a person a new password; whatever they are signed in with ends."""
    user_service.set_password(_person(email).id, password)
    click.echo("done")


@users.command("disable")
@click.argument("email")
@click.option("--keys-to", help="The e-mail address of who answers for their keys from now on.")
@click.option("--revoke-keys", is_flag=True, help="Revoke the keys for which they answer.")
def disable_user(email: str, keys_to: str | None, revoke_keys: bool) -> None:
    """Let a person in no more; what they are signed in with ends."""
    user = _person(email)
    heir = _person(keys_to).id if keys_to else None
    team.disable(_operator_of(user), user.id, keys_to=heir, revoke_keys=revoke_keys)
    click.echo("done")


@users.command("enable")
@click.argument("email")
def enable_user(email: str) -> None:
    """Let a person in again."""
    user = _person(email)
    team.enable(_operator_of(user), user.id)
    click.echo("done")


@users.command("reset-mfa")
@click.argument("email")
def reset_mfa(email: str) -> None:
    """Take a person's second factor away."""
    totp.disable(_person(email).id)
    click.echo("done")


@cards.command("issue")
@click.argument("tenant_slug")
@click.argument("amount", type=int)
@click.argument("currency")
@click.option("--code", help="Its code; without one it is made.")
@click.option("--days", type=click.IntRange(1), help="After so many days it lapses.")
@click.option("--mode", type=click.Choice(["test", "live"]), default="test")
def issue_card(
    tenant_slug: str, amount: int, currency: str, code: str | None, days: int | None, mode: str
) -> None:
    """Issue a gift card of AMOUNT minor units and print its code."""
    card = gift_cards.issue(_operator(tenant_slug, mode), amount, currency.upper(), code=code, days=days)
    click.echo(card.code)


@hooks.command("replay")
@click.argument("tenant_slug")
@click.argument("delivery_id", required=False)
@click.option("--endpoint", "endpoint_id", help="Only to this endpoint; otherwise to all that are on.")
@click.option("--since", type=MOMENT, help="Events from this moment on (UTC).")
@click.option("--until", type=MOMENT, help="Events before this moment (UTC); otherwise before now.")
@click.option(
    "--which", type=click.Choice([str(each) for each in replays.Which]), default="failed", show_default=True
)
@click.option("--event", "events", multiple=True, help="Only events of this type; may be repeated.")
@click.option("--mode", type=click.Choice(["test", "live"]), default="test")
@click.option("--dry-run", is_flag=True, help="Count, and send nothing.")
def replay(
    tenant_slug: str,
    delivery_id: str | None,
    endpoint_id: str | None,
    since: datetime | None,
    until: datetime | None,
    which: str,
    events: tuple[str, ...],
    mode: str,
    dry_run: bool,
) -> None:
    """Send one delivery again, or the events of a span of time."""
    operator = _operator(tenant_slug, mode)
    if delivery_id is not None:
        click.echo(delivery_id if dry_run else replays.one(operator, delivery_id).id)
        return
    if since is None:
        raise click.UsageError("name a delivery, or the first moment with --since")
    end = until.replace(tzinfo=UTC) if until else clock.now()
    if endpoint_id is not None:
        endpoints = [webhooks.get(operator, endpoint_id)]
    else:
        endpoints = [each for each in webhooks.list_all(operator) if each.disabled_at is None]
    for endpoint in endpoints:
        start = since.replace(tzinfo=UTC)
        span = replays.Span(endpoint.id, start, end, replays.Which(which), events)
        made = replays.dry_run(operator, span) if dry_run else replays.whole_span(operator, span)
        click.echo(f"{endpoint.id}  {made.count:7}  {endpoint.url}")


@clocks.command("advance")
@click.argument("tenant_slug")
@click.argument("seconds", type=click.IntRange(1))
def advance_clock(tenant_slug: str, seconds: int) -> None:
    """Let a merchant's test mode go forward; the worker then does what is due."""
    test_clock.advance(_operator(tenant_slug, "test"), seconds)
    click.echo("done")


def _person(email: str) -> User:
    user = user_service.by_email(email)
    if user is None:
        raise click.ClickException("no such user")
    return user


def _operator_of(user: User) -> Actor:
    return system_actor(user_service.get(user.id)[1], "live", _name())


def _operator(tenant_slug: str, mode: str) -> Actor:
    tenant = tenants.by_slug(tenant_slug)
    if tenant is None:
        raise click.ClickException(f"no merchant {tenant_slug}")
    return system_actor(tenant.profile(mode), mode, _name())


def _name() -> str:
    return f"cli:{os.environ.get('USER', 'operator')}"
