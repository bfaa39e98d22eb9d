"""The typed environment: every variable that Till reads, documented once.

Names carry the prefix `TILL_`, apart from the customary `DATABASE_URL`, `HOST` and `PORT`, and `STRIPE_…`.
`.env` is read outside production. In production the app refuses to start while a secret is missing, and
names it.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Environment = Literal["development", "test", "production"]

#: Needed in production, with the words that the refusal to start uses.
REQUIRED_IN_PRODUCTION = {
    "secret_key": "TILL_SECRET_KEY",
    "encryption_keys": "TILL_ENCRYPTION_KEYS",
    "database_url": "DATABASE_URL",
    "trusted_hosts": "TILL_TRUSTED_HOSTS",
}

#: Whoever guesses it makes tokens of their own.
MIN_SECRET_KEY = 32


class SettingsError(RuntimeError):
    """The environment cannot run Till; the message names each variable that is missing or wrong."""


class Settings(BaseSettings):
    """What the environment says. Build it with `load()`, which fills in what development may leave out."""

    model_config = SettingsConfigDict(env_prefix="TILL_", extra="ignore", populate_by_name=True)

    env: Environment = "development"
    secret_key: SecretStr | None = Field(None, description="Signs cookies, tokens and hashes of keys")
    encryption_keys: SecretStr | None = Field(
        None, description="`id:base64(32 bytes)`, comma-separated, the first encrypts; at-rest secrets"
    )
    database_url: str | None = Field(None, validation_alias=AliasChoices("DATABASE_URL", "database_url"))
    data_dir: Path = Field(Path("var"), description="Database, queue, uploads, exports")
    host: str = Field("127.0.0.1", validation_alias=AliasChoices("HOST", "host"))
    port: int = Field(8000, validation_alias=AliasChoices("PORT", "port"))
    public_url: str | None = Field(None, description="What shoppers' browsers see, without a slash")
    trusted_hosts: list[str] = Field(default_factory=list, description="JSON list of Host values")
    trusted_proxies: int = Field(0, description="How many proxies in front set X-Forwarded-*")
    web_processes: int = Field(1, ge=1, description="Processes of the web server")
    worker_threads: int = Field(8, ge=1, description="Tasks that one worker runs at once")
    worker_lease_seconds: int = Field(
        60, ge=1, description="A job or delivery whose worker was silent for so long is taken over"
    )
    queue_url: str | None = Field(None, description="Huey's queue; default beside the database")
    export_keep_days: int = Field(7, ge=1, description="How long a finished export can be downloaded")
    export_s3_roots: list[str] = Field(
        default_factory=list,
        description="JSON list of `s3://bucket/prefix` below which exports may go; `{tenant}` is the slug",
    )
    export_s3_endpoint: str | None = Field(None, description="S3-compatible store; default Amazon's")
    export_s3_region: str = Field("us-east-1", description="Its region")
    export_s3_access_key_id: str | None = Field(None, description="Its credentials; default the machine's")
    export_s3_secret_access_key: SecretStr | None = None
    allow_loopback_webhooks: bool | None = Field(
        None, description="Deliver to 127.0.0.1; default only outside production"
    )
    max_webhook_endpoints: int = Field(
        50, ge=1, description="Webhook endpoints of one merchant in one mode; each event goes to each"
    )
    rate_limit_storage: str = Field(
        "memory://",
        description="Where API rates are counted: `memory://` by a machine's processes, `database://` by"
        " several machines, or a storage URL of the limits library",
    )
    api_writes_per_second: int = Field(25, ge=0, description="Per key; 0 turns the limit off")
    api_reads_per_second: int = Field(100, ge=0, description="Per key; 0 turns the limit off")
    log_level: str = "INFO"
    stripe_secret_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STRIPE_SECRET_KEY", "stripe_secret_key"),
        description="Stripe for merchants without credentials of their own; used in the mode that it names",
    )
    stripe_publishable_key: str | None = Field(
        None,
        validation_alias=AliasChoices("STRIPE_PUBLISHABLE_KEY", "stripe_publishable_key"),
        description="Goes to browsers together with a client secret",
    )
    stripe_webhook_secret: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STRIPE_WEBHOOK_SECRET", "stripe_webhook_secret"),
        description="`whsec_…` of Stripe's webhook endpoint; several, comma-separated, while one is rolled",
    )
    stripe_mode: Literal["elements", "redirect"] = Field(
        "redirect",
        validation_alias=AliasChoices("STRIPE_MODE", "stripe_mode"),
        description="How cards are taken: by tokens from Stripe's frames, or on Stripe's own page",
    )
    stripe_api_base: str = Field(
        "https://api.stripe.com",
        validation_alias=AliasChoices("STRIPE_API_BASE", "stripe_api_base"),
        description="Another address only for tests or an outgoing proxy",
    )
    stripe_js_url: str = Field(
        "https://js.stripe.com/v3/",
        validation_alias=AliasChoices("STRIPE_JS_URL", "stripe_js_url"),
        description="Stripe's script, with the card fields of `elements`; another address only for tests",
    )
    failpoint: str | None = Field(
        None, description="Test settings only: the named point of a payment at which to die"
    )
    ephemeral: bool = Field(False, description="Test settings: trade durability of commits for speed")

    @property
    def production(self) -> bool:
        """Whether real money may move here."""
        return self.env == "production"

    @property
    def loopback_webhooks_allowed(self) -> bool:
        """Whether webhooks may go to this machine, which only developers want."""
        if self.allow_loopback_webhooks is None:
            return not self.production
        return self.allow_loopback_webhooks

    @property
    def base_url(self) -> str:
        """The address that links, QR codes and redirects start with."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @cached_property
    def signing_key(self) -> bytes:
        """The bytes behind signed tokens and keyed hashes."""
        assert self.secret_key is not None
        return self.secret_key.get_secret_value().encode()

    @cached_property
    def encryption_key_ring(self) -> dict[str, bytes]:
        """Key id to 32 bytes; the first one encrypts, all of them decrypt."""
        assert self.encryption_keys is not None
        ring: dict[str, bytes] = {}
        for item in self.encryption_keys.get_secret_value().split(","):
            key_id, _, text = item.strip().partition(":")
            key = _decoded(text)
            if not key_id or key_id in ring or len(key) != 32:
                raise SettingsError("TILL_ENCRYPTION_KEYS: each entry is id:base64 of 32 bytes, each id once")
            ring[key_id] = key
        return ring

    @property
    def database(self) -> str:
        """The SQLAlchemy address, with the driver that Till uses."""
        assert self.database_url is not None
        for short in ("postgresql://", "postgres://"):
            if self.database_url.startswith(short):
                return "postgresql+psycopg://" + self.database_url[len(short) :]
        return self.database_url


def load(**overrides: object) -> Settings:
    """Read the environment; `overrides` win over it (tests).

    Raises:
        SettingsError: production lacks something, naming each missing variable, or what is there cannot be.
    """
    env_file = None if os.environ.get("TILL_ENV") == "production" else ".env"
    settings = Settings(_env_file=env_file, **overrides)  # type: ignore[arg-type]
    missing = [name for name in REQUIRED_IN_PRODUCTION if not getattr(settings, name)]
    if settings.production:
        if missing:
            names = ", ".join(REQUIRED_IN_PRODUCTION[name] for name in missing)
            raise SettingsError(f"Till cannot start in production without {names}")
        if settings.failpoint:
            raise SettingsError("TILL_FAILPOINT is for tests only")
        if len(settings.signing_key) < MIN_SECRET_KEY:
            raise SettingsError(f"TILL_SECRET_KEY has at least {MIN_SECRET_KEY} characters, chosen by chance")
    else:
        settings = settings.model_copy(update=_development_defaults(settings, missing))
    if settings.log_level.upper() not in logging.getLevelNamesMapping():
        raise SettingsError("TILL_LOG_LEVEL is DEBUG, INFO, WARNING, ERROR or CRITICAL")
    _ = settings.encryption_key_ring  # what is wrong with it is told now, not at the first secret
    return settings


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _development_defaults(settings: Settings, missing: list[str]) -> dict[str, object]:
    """Secrets that survive a restart and are shared by web server and worker, in the data folder."""
    defaults: dict[str, object] = {}
    data_dir = settings.data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    if "database_url" in missing:
        defaults["database_url"] = f"sqlite:///{data_dir / 'till.db'}"
    if "secret_key" in missing or "encryption_keys" in missing:
        kept = _kept_secrets(data_dir / "development-secrets.json")
        if "secret_key" in missing:
            defaults["secret_key"] = SecretStr(kept["secret_key"])
        if "encryption_keys" in missing:
            defaults["encryption_keys"] = SecretStr(kept["encryption_keys"])
    defaults["data_dir"] = data_dir
    return defaults


def _kept_secrets(path: Path) -> dict[str, str]:
    """Read the development secrets, or make them once (several processes may start together)."""
    if not path.exists():
        fresh = {
            "secret_key": secrets.token_urlsafe(48),
            "encryption_keys": "dev1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps(fresh))
        draft.chmod(0o600)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


_current: Settings | None = None


def current() -> Settings:
    """The settings of this process, read from the environment on first use."""
    global _current
    if _current is None:
        _current = load()
    return _current


def use(settings: Settings) -> None:
    """Install settings for this process (the factory and tests call it)."""
    global _current
    _current = settings
