"""Settings: environment (HEADRACE_*), a TOML file, flags; strict, frozen, unit-named.

Precedence: flags, then environment, then file, then defaults. An unknown key stops the start and
names the nearest known one.
"""

import difflib
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from headrace_writer.core.block import Signal
from headrace_writer.errors import ConfigError

PREFIX = "HEADRACE_"
# Variables of this prefix that other parts of headrace read.
FOREIGN = (
    "CONFIG",
    "CLUSTER",
    "PORT_OFFSET",
    "KEEP_CLUSTER",
    "GATEWAY_",
    "KAFKA_BROKERS",
    "NATIVE_",
    "MODEL_",
    "FUZZ_",
    "FAULT_",
    "CHAOS_",
    "TEST_",
)
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")

Endpoint = tuple[str, int]


class Settings(BaseSettings):
    """Every setting of the writer, the migrations and the audit."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True
    )

    signals: Annotated[tuple[Signal, ...], NoDecode] = Field(
        SIGNALS, description="Signals that this process writes, by comma."
    )
    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092", description="Brokers to ask first, `host:port` by comma."
    )
    kafka_group_prefix: str = Field(
        "headrace", description="Consumer groups are `<prefix>-traces`, `-metrics`, `-logs`."
    )
    kafka_group_protocol: Literal["consumer", "classic"] = Field(
        "consumer",
        description="`consumer` (KIP-848, brokers from 4.0) or `classic` (cooperative-sticky).",
    )
    kafka_session_timeout_ms: int = Field(
        6_000,
        ge=1_000,
        description="Classic protocol: how long a silent member keeps its partitions. Under "
        "`consumer` the broker's group settings decide.",
    )
    kafka_extra: dict[str, str | int | bool] = Field(
        default_factory=dict,
        description="Further librdkafka settings, e.g. TLS and SASL; JSON or a TOML table. Those "
        "that decide where reading goes on are fixed.",
    )
    kafka_password_file: Path | None = Field(
        None,
        description="File that holds the SASL password; wins over `sasl.password` of kafka_extra.",
    )
    topic_traces: str = Field("otlp_spans", description="Topic of the export requests for traces.")
    topic_metrics: str = Field("otlp_metrics", description="Likewise for metrics.")
    topic_logs: str = Field("otlp_logs", description="Likewise for logs.")
    topic_dlq: str = Field("otlp_dlq", description="Topic for what cannot be stored.")
    clickhouse_shards: Annotated[tuple[tuple[Endpoint, ...], ...], NoDecode] = Field(
        ((("127.0.0.1", 9000),),),
        description="Native protocol endpoints: replicas by comma, shards by semicolon, "
        "`a:9000,b:9000;c:9000,d:9000`.",
    )
    clickhouse_database: str = Field("otel", pattern=r"^[A-Za-z_]\w*$", description="Database.")
    clickhouse_user: str = Field("default", description="User.")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="Password.")
    clickhouse_password_file: Path | None = Field(
        None, description="File that holds the password; wins over clickhouse_password."
    )
    clickhouse_secure: bool = Field(
        False,
        description="TLS to ClickHouse, whose native port for it is usually 9440; certificates "
        "are checked.",
    )
    clickhouse_ca_file: Path | None = Field(
        None, description="Certificates to trust for it, PEM; the system's without."
    )
    clickhouse_topology: Literal["cluster", "embedded"] = Field(
        "cluster", description="`cluster` inserts into `<table>_local`, `embedded` into `<table>`."
    )
    clickhouse_dialect: Literal["auto", "modern", "legacy"] = Field(
        "auto", description="Schema dialect for migrations; `auto` asks the server's version."
    )
    clickhouse_cluster: str = Field("headrace", description="Cluster name in remote_servers.")
    clickhouse_connect_timeout_s: float = Field(3.0, gt=0, description="To connect to a replica.")
    clickhouse_insert_quorum: int = Field(
        0,
        ge=0,
        description="Replicas that must hold a block before it counts as stored; 0 for one. With 2 "
        "no acknowledged record is lost with a disk, and inserts wait while a replica is away.",
    )
    clickhouse_answer_timeout_s: float = Field(
        10.0, gt=0, description="To wait for an insert's answer before another replica is tried."
    )
    decoder: Literal["auto", "native", "reference"] = Field(
        "auto", description="`native` is the Rust kernel; `auto` falls back with a warning."
    )
    batch_max_bytes: int = Field(
        32 << 20, ge=1 << 16, description="Payload bytes at which a batch closes."
    )
    batch_max_age_s: float | None = Field(
        None, gt=0, description="Age at which a batch closes; default 2 for metrics, 3 otherwise."
    )
    block_max_bytes: int = Field(
        64 << 20,
        ge=1 << 20,
        description="Bytes of one insert, before compression, at most: a batch closes before, a "
        "larger message is stored in several inserts, and one with a larger record refused.",
    )
    guardrails_file: Path | None = Field(
        None,
        description="Rules for attributes and bodies (docs/guardrails.md); read again when it "
        "changes.",
    )
    guardrails_key_file: Path | None = Field(
        None, description="Key of their hashes, 16 bytes in hex: `openssl rand -hex 16`."
    )
    content_apart: bool = Field(
        True,
        description="Prompts, completions, tool arguments and the like go to the column "
        "ContentAttributes, which has a retention of its own (docs/genai.md); false leaves them "
        "in their spans and logs.",
    )
    tenant_attribute: str = Field(
        "", description="Resource attribute that fills the column Tenant, e.g. `tenant.id`."
    )
    tenant_header: str = Field(
        "",
        description="Kafka header that does, and wins over the attribute; see docs/guardrails.md.",
    )
    backlog_max_bytes: int = Field(
        64 << 20, ge=1 << 16, description="Payload bytes waiting for a batch; then fetching pauses."
    )
    metrics_first_s: float = Field(
        30.0,
        ge=0,
        description="Spans and logs that are behind wait for metrics that are more than 5 seconds "
        "late: so long in a row, and then half of the time. 0: they never wait.",
    )
    dedup_window_s: float = Field(
        3_600.0,
        gt=0,
        description="How long ClickHouse surely remembers an insert at this rate (see the tables' "
        "replicated_deduplication_window); a plan older than a quarter of it is counted first.",
    )
    drain_deadline_s: float = Field(
        25.0, gt=0, description="To finish what is on its way at the end or on a revoke."
    )
    start_timeout_s: float = Field(
        60.0, gt=0, description="To find Kafka, the topics and the tables at the start."
    )
    trace_endpoint: str = Field(
        "",
        description="OTLP/gRPC `host:port` without TLS, usually the gateways', to which the writer "
        "sends spans of its own batches; empty for none.",
    )
    trace_every_s: float = Field(
        60.0, gt=0, description="Of each signal at most one batch in this time is traced."
    )
    http_listen: str = Field("127.0.0.1:9464", description="Serves /metrics, /live and /ready.")
    log_format: Literal["json", "console"] = Field("json", description="Structured logs.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="")

    @field_validator("signals", mode="before")
    @classmethod
    def _split_signals(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("clickhouse_shards", mode="before")
    @classmethod
    def _split_shards(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(
            tuple(parse_endpoint(replica) for replica in shard.split(","))
            for shard in value.split(";")
        )

    @field_validator("trace_endpoint")
    @classmethod
    def _check_trace_endpoint(cls, value: str) -> str:
        if value:
            parse_endpoint(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.backlog_max_bytes < self.batch_max_bytes:
            msg = "backlog_max_bytes must not be below batch_max_bytes: a batch could never fill"
            raise ValueError(msg)
        if self.clickhouse_ca_file is not None and not self.clickhouse_secure:
            msg = "clickhouse_ca_file is for TLS: set clickhouse_secure, too"
            raise ValueError(msg)
        if self.guardrails_key_file is not None and self.guardrails_file is None:
            msg = "guardrails_key_file is for hashes of guardrails: set guardrails_file, too"
            raise ValueError(msg)
        if not self.signals:
            msg = "signals must name at least one of traces, metrics, logs"
            raise ValueError(msg)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The file is merged by `load`, below the environment."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings

    def topic(self, signal: Signal) -> str:
        return {
            "traces": self.topic_traces,
            "metrics": self.topic_metrics,
            "logs": self.topic_logs,
        }[signal]

    def max_age_s(self, signal: Signal) -> float:
        if self.batch_max_age_s is not None:
            return self.batch_max_age_s
        return 2.0 if signal == "metrics" else 3.0

    @property
    def password(self) -> str:
        """The password itself. Raises ConfigError when its file cannot be read."""
        if self.clickhouse_password_file is None:
            return self.clickhouse_password.get_secret_value()
        return _read_secret("clickhouse_password_file", self.clickhouse_password_file)

    @property
    def kafka_password(self) -> str | None:
        """The SASL password if it is in a file. Raises ConfigError when that cannot be read."""
        if self.kafka_password_file is None:
            return None
        return _read_secret("kafka_password_file", self.kafka_password_file)

    @property
    def clickhouse_tls(self) -> dict[str, Any]:
        """What clickhouse-driver's Client takes for TLS."""
        if not self.clickhouse_secure:
            return {}
        ca = self.clickhouse_ca_file
        return {"secure": True, "verify": True} | ({} if ca is None else {"ca_certs": str(ca)})


def _read_secret(setting: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        msg = f"{setting}: {error}"
        raise ConfigError(msg) from error


def parse_endpoint(text: str) -> Endpoint:
    """`host:port`. Raises ValueError."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        msg = f"{text.strip()!r} is not host:port"
        raise ValueError(msg)
    return host, int(port)


def load(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags, the environment and the file that HEADRACE_CONFIG or `config` names.

    Raises ConfigError naming the setting.
    """
    environment = os.environ if environment is None else environment
    given = {key: value for key, value in flags.items() if value is not None}
    path = given.pop("config", None) or environment.get(f"{PREFIX}CONFIG")
    from_file = _read_file(Path(path)) if path else {}
    _refuse_unknown(from_file, str(path))
    named = {
        key[len(PREFIX) :].lower(): value
        for key, value in environment.items()
        if key.startswith(PREFIX) and not key[len(PREFIX) :].startswith(FOREIGN)
    }
    _refuse_unknown(named, "the environment", PREFIX)
    below = {key: value for key, value in from_file.items() if key not in named}
    try:
        return Settings(**{**below, **given})
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        msg = f"config file: {error}"
        raise ConfigError(msg) from error
    except tomllib.TOMLDecodeError as error:
        msg = f"config file {path} is not TOML: {error}"
        raise ConfigError(msg) from error


def _refuse_unknown(keys: Mapping[str, Any], where: str, prefix: str = "") -> None:
    known = Settings.model_fields
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            spelled = f"{prefix}{near[0].upper() if prefix else near[0]}" if near else ""
            hint = f"; did you mean {spelled}?" if near else ""
            name = f"{prefix}{key.upper()}" if prefix else key
            msg = f"unknown setting {name} in {where}{hint}"
            raise ConfigError(msg)


def _explain(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"][:1]) or "settings"
        parts.append(f"{name}: {problem['msg']}")
    return "; ".join(parts)


def shown(settings: Settings) -> dict[str, Any]:
    """Effective settings with secrets masked, as `headrace config` prints them."""
    values: dict[str, Any] = settings.model_dump(mode="json")
    return values


def config_hash(settings: Settings) -> str:
    """Of what writers of one pipeline should agree on, so without secrets and what each has of its
    own. Twelve hex digits."""
    values = settings.model_dump(
        mode="json", exclude={"signals", "http_listen", "clickhouse_password"}
    )
    extra = values["kafka_extra"]
    values["kafka_extra"] = {k: v for k, v in extra.items() if "password" not in k}
    text = json.dumps(values, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def format_shards(shards: Sequence[Sequence[Endpoint]]) -> str:
    """The text form of clickhouse_shards."""
    return ";".join(",".join(f"{host}:{port}" for host, port in shard) for shard in shards)
