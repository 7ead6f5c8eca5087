"""The settings of every process, read once from the environment (CARTOUCHE_*)."""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.work_version import WORK_VERSION

#: The least that a duration may be, in seconds.
_LEAST = {
    "lease": 1.0,
    "reconcile_interval": 0.1,
    "export_deadline": 1.0,
    "retention": 0.0,
    "retry_window": 0.0,
    "stall": 1.0,
    "download_url_ttl": 1.0,
}
#: S3 signs no link for longer.
_LONGEST_LINK = timedelta(days=7)
_DATABASES = ("postgresql://", "postgres://", "postgresql+psycopg://", "sqlite:///")
#: Settings that are given together.
_PAIRS = (
    ("s3_signing_access_key", "s3_signing_secret_key"),
    ("grpc_certificate", "grpc_key"),
    ("client_certificate", "client_key"),
)
#: Settings that would do nothing without another one.
_NEEDS = {
    "grpc_client_ca": "grpc_certificate",
    "client_certificate": "server_ca",
    "server_name": "server_ca",
}
_ORIGIN = re.compile(r"\*|https?://[^/\s,*]+")
_COUNTERS = ("redis://", "rediss://", "redis+unix://", "memory://")


class SettingsError(Exception):
    """A setting is wrong; the message names the variable and what it takes."""


def _seconds(value: object) -> object:
    """Durations are plain seconds in the environment."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
        try:
            return timedelta(seconds=float(value))
        except OverflowError:
            raise ValueError("Input should be fewer seconds") from None
    return value


def networks_of(setting: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks of a setting that takes addresses or networks with commas between.

    Raises:
        ValueError: one is neither.
    """
    parts = [part.strip() for part in setting.split(",")]
    return tuple(ip_network(part) for part in parts if part)


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]


class Settings(BaseSettings):
    """Every setting, with its default. Without a database, a broker or an S3 endpoint each
    falls back to the embedded default under `home`."""

    model_config = SettingsConfigDict(env_prefix="CARTOUCHE_", env_ignore_empty=True)

    home: Path = Field(Path(".cartouche"), description="State of the embedded default")
    http_host: str = Field("127.0.0.1", description="Address the gateway listens on")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of the gateway; 0: any free")
    grpc_host: str = Field("127.0.0.1", description="Address the gRPC server listens on")
    grpc_port: int = Field(50051, ge=0, le=65535, description="Port of gRPC; 0: any free")
    grpc_certificate: Path | None = Field(
        None, description="PEM file of the gRPC server's certificate; empty: plain text"
    )
    grpc_key: Path | None = Field(None, description="PEM file of its key")
    grpc_client_ca: Path | None = Field(
        None, description="PEM file of the authorities whose certificates callers must show"
    )
    server: str = Field("127.0.0.1:50051", description="gRPC address the gateway and CLI call")
    server_ca: Path | None = Field(
        None,
        description="PEM file of the authorities that vouch for the server; empty: plain text",
    )
    server_name: str = Field(
        "", description="The name in the server's certificate; empty: the host of its address"
    )
    client_certificate: Path | None = Field(
        None, description="PEM file of the certificate that gateway and CLI show"
    )
    client_key: Path | None = Field(None, description="PEM file of its key")
    metrics_host: str = Field("127.0.0.1", description="Address of metrics and health")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of /metrics, /healthz and /readyz; 0: none"
    )
    otlp_endpoint: str = Field(
        "",
        validation_alias=AliasChoices(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
        ),
        description="Where traces go (OTLP over gRPC); empty: there are none",
    )
    api_key: str = Field("", description="API key of the CLI")
    trusted_proxies: str = Field(
        "127.0.0.1", description="Proxies whose X-Forwarded-* the gateway believes"
    )

    database_url: str = Field("", description="postgresql://…; empty: SQLite under home")
    database_pool: int | None = Field(
        None,
        ge=1,
        description="Connections a process keeps at most; empty: one for each thread that may "
        "need it",
    )
    broker_url: str = Field("memory://", description="amqp://…, redis://… or memory://")

    s3_endpoint: str = Field("", description="http(s)://host:port; empty: embedded rclone")
    s3_public_endpoint: str = Field("", description="The address links name; empty: s3_endpoint")
    s3_region: str = "us-east-1"
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_signing_access_key: str = Field("", description="Read-only key that signs links")
    s3_signing_secret_key: str = ""
    s3_ca_bundle: Path | None = Field(
        None, description="PEM file of the authorities that vouch for the store"
    )
    s3_addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Buckets in the path, in the host (virtual), or as the store is known"
    )
    s3_server_side_encryption: Literal["", "AES256", "aws:kms"] = Field(
        "", description="What the store encrypts new objects with; empty: as the bucket says"
    )
    s3_kms_key_id: str = Field("", description="The key of aws:kms; empty: the store's own")
    s3_images_bucket: str = "cartouche-images"
    s3_exports_bucket: str = "cartouche-exports"

    s3_cors_origins: str = Field(
        "*",
        description="Origins whose pages may read archives by their links, with commas between; "
        "none: the exports bucket is given no such rule",
    )

    verify: Literal["sample", "full"] = Field(
        "sample", description="full: read the whole archive back and know its SHA-256"
    )
    worker_threads: int = Field(4, ge=1, le=64, description="Tasks a worker runs at once")
    worker_lanes: Literal["all", "short", "long"] = Field(
        "all", description="Which exports a worker builds: short ones, long ones, or both"
    )
    worker_memory: int = Field(
        200 * 1024 * 1024,
        ge=1,
        description="Bytes of memory of a worker at its peak, with processes of its own",
    )
    worker_nice: int = Field(
        10,
        ge=0,
        le=19,
        description="How much a worker gives way to other processes of its machine; 0: not at all",
    )
    organization_steps: int = Field(
        64, ge=1, description="Steps of one organization that run at once, over all workers"
    )
    pending_quota: int = Field(
        1_000, ge=1, description="Exports of one organization that may wait to be built"
    )
    part_size: int = Field(
        16 * 1024 * 1024,
        # S3 takes no smaller part, and a worker holds segments of small exports in memory.
        ge=5 * 1024 * 1024,
        le=1024 * 1024 * 1024,
        description="Bytes of a part of images, before it grows with the archive",
    )
    work_version: int = Field(
        WORK_VERSION,
        ge=1,
        le=WORK_VERSION,
        description="Version of the work of new exports; workers of 0.2.0 take part in 1",
    )
    copy_generations: int = Field(
        10,
        ge=0,
        description="Archives in a row that may be copied from one another; 0: nothing is copied",
    )
    lease: Seconds = Field(
        timedelta(seconds=30), description="A worker silent for longer is presumed dead"
    )
    stall: Seconds = Field(
        timedelta(minutes=15),
        description="A step without progress for longer is presumed dead, whatever its worker says",
    )
    reconcile_interval: Seconds = Field(
        timedelta(seconds=5), description="How often the reconciler looks"
    )
    export_deadline: Seconds = Field(
        timedelta(hours=24), description="An export not done by then fails"
    )
    retention: Seconds = Field(
        timedelta(days=30), description="Exports are removed so long after they ended; 0: never"
    )
    retry_window: Seconds = Field(
        timedelta(days=1),
        description="A failed export keeps what it finished for so long, for a retry",
    )
    download_url_ttl: Seconds = Field(
        timedelta(hours=24), description="How long a signed link works; at most 7 days"
    )
    rate_limit: int = Field(0, ge=0, description="Calls an hour of each API key; 0: any number")
    rate_limit_url: str = Field(
        "", description="redis://… that replicas share; empty: the broker if it is Redis"
    )
    import_space: int = Field(
        4 * 1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes on a server's disk (TMPDIR) of images on their way in",
    )
    webhook_allow: str = Field(
        "", description="Networks that webhooks may call beside public addresses over HTTPS"
    )
    console: bool = Field(True, description="The console at / of the gateway")
    reflection: bool = Field(True, description="gRPC server reflection")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if faults := "; ".join(_faults(self)):
            raise PydanticCustomError("cannot_work", "{faults}", {"faults": faults})
        return self

    @cached_property
    def page_origins(self) -> tuple[str, ...]:
        """The origins whose pages may read archives; none of them where no rule is wanted."""
        named = tuple(part.strip() for part in self.s3_cors_origins.split(",") if part.strip())
        return () if named == ("none",) else named

    @cached_property
    def embedded_database(self) -> bool:
        return not self.database_url

    @cached_property
    def embedded_store(self) -> bool:
        return not self.s3_endpoint

    @cached_property
    def embedded_broker(self) -> bool:
        return self.broker_url.startswith("memory:")

    @cached_property
    def rate_limit_storage(self) -> str:
        """Where calls are counted."""
        if self.rate_limit_url:
            return self.rate_limit_url
        return self.broker_url if self.broker_url.startswith("redis") else "memory://"

    @cached_property
    def sqlalchemy_url(self) -> str:
        """The database URL with the driver Cartouche ships."""
        if self.embedded_database:
            return f"sqlite:///{(self.home / 'cartouche.db').resolve()}"
        for prefix in ("postgresql://", "postgres://"):
            if self.database_url.startswith(prefix):
                return "postgresql+psycopg://" + self.database_url.removeprefix(prefix)
        return self.database_url


def load() -> Settings:
    """Reads the environment.

    Raises:
        SettingsError: a variable has a value it cannot have.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{_variable('_'.join(map(str, e['loc'])))} is {e['input']!r}: "
            + e["msg"].replace("Input should", "it should").removeprefix("Value error, ")
            if e["loc"]
            else e["msg"]
            for e in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from None


def _variable(name: str) -> str:
    return f"CARTOUCHE_{name.upper()}"


def _faults(settings: Settings) -> Iterator[str]:
    """Why a process with these settings could not do its work, and what to give instead."""
    for name, least in _LEAST.items():
        seconds = getattr(settings, name).total_seconds()
        if seconds < least:
            yield f"{_variable(name)} is {seconds:g} seconds: give {least:g} or more"
    if settings.download_url_ttl > _LONGEST_LINK:
        yield (
            f"CARTOUCHE_DOWNLOAD_URL_TTL is {settings.download_url_ttl.total_seconds():.0f}: give "
            f"{_LONGEST_LINK.total_seconds():.0f} seconds (7 days) or less, as S3 signs no link "
            "for longer"
        )
    lease = settings.lease.total_seconds()
    if settings.reconcile_interval >= settings.lease:
        yield (
            f"CARTOUCHE_RECONCILE_INTERVAL is {settings.reconcile_interval.total_seconds():g} and "
            f"CARTOUCHE_LEASE {lease:g}: give an interval of less than a lease, so that the work "
            "of a worker that died is found in time"
        )
    try:
        networks_of(settings.webhook_allow)
    except ValueError as error:
        yield f"CARTOUCHE_WEBHOOK_ALLOW takes networks with commas between, as 10.0.0.0/8: {error}"
    for origin in settings.page_origins:
        if not _ORIGIN.fullmatch(origin):
            yield (
                f"CARTOUCHE_S3_CORS_ORIGINS has {origin!r}: give origins with commas between, as "
                "https://exports.example.com, or * for any, or none"
            )
    if settings.s3_kms_key_id and settings.s3_server_side_encryption != "aws:kms":
        yield (
            "CARTOUCHE_S3_KMS_KEY_ID is of no use but with CARTOUCHE_S3_SERVER_SIDE_ENCRYPTION at "
            "aws:kms: give that too"
        )
    if settings.export_deadline < settings.lease:
        yield (
            f"CARTOUCHE_EXPORT_DEADLINE is {settings.export_deadline.total_seconds():g} and "
            f"CARTOUCHE_LEASE {lease:g}: give a deadline of a lease or more, so that an export "
            "can outlive a worker"
        )
    for one, other in _PAIRS:
        if bool(getattr(settings, one)) != bool(getattr(settings, other)):
            yield (
                f"{_variable(one)} and {_variable(other)} belong together: give both, or neither"
            )
    for name, needed in _NEEDS.items():
        if getattr(settings, name) and not getattr(settings, needed):
            yield f"{_variable(name)} is of no use without {_variable(needed)}: give that too"
    # Not the URLs themselves, which may hold passwords.
    for name, url, known in (
        ("database_url", settings.database_url, _DATABASES),
        ("rate_limit_url", settings.rate_limit_url, _COUNTERS),
    ):
        if url and not url.startswith(known):
            yield f"{_variable(name)} begins with none of {', '.join(known)}: give one of these"
