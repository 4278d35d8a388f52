"""Settings: strict, from three places, errors that name the setting."""

import os
from pathlib import Path
from typing import Any

import pytest

from headrace_writer import config, config_page, metrics_page, wiring
from headrace_writer.errors import ConfigError

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HEADRACE_"):
            monkeypatch.delenv(name)


def load(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], **environment: str
) -> config.Settings:
    for name, value in environment.items():
        monkeypatch.setenv(f"HEADRACE_{name}", value)
    return config.load(flags)


def test_flags_win_over_environment_over_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "headrace.toml"
    file.write_text('kafka_group_prefix = "file"\ntopic_dlq = "file"\nclickhouse_user = "file"\n')
    settings = load(
        monkeypatch,
        {"config": str(file), "kafka_group_prefix": "flag"},
        KAFKA_GROUP_PREFIX="environment",
        TOPIC_DLQ="environment",
    )
    assert settings.kafka_group_prefix == "flag"
    assert settings.topic_dlq == "environment"
    assert settings.clickhouse_user == "file"


def test_shards_and_signals_are_read_from_text(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {}, CLICKHOUSE_SHARDS="a:1,b:2;c:3", SIGNALS="metrics, logs")
    assert settings.clickhouse_shards == ((("a", 1), ("b", 2)), (("c", 3),))
    assert settings.signals == ("metrics", "logs")


def test_an_unknown_variable_names_its_nearest_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="did you mean HEADRACE_BATCH_MAX_BYTES"):
        load(monkeypatch, {}, BATCH_MAX_BITES="1")


def test_an_unknown_key_of_the_file_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "h.toml"
    file.write_text("batch_max_byte = 1\n")
    with pytest.raises(ConfigError, match=r"batch_max_byte in .*h\.toml; did you mean batch_max_b"):
        load(monkeypatch, {"config": str(file)})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SIGNALS", "spans", "signals"),
        ("SIGNALS", "", "signals"),
        ("CLICKHOUSE_SHARDS", "localhost", "not host:port"),
        ("CLICKHOUSE_SHARDS", "a:99999", "not host:port"),
        ("BATCH_MAX_AGE_S", "0", "batch_max_age_s"),
        ("DECODER", "fast", "decoder"),
        ("BACKLOG_MAX_BYTES", "65536", "backlog_max_bytes must not be below batch_max_bytes"),
        ("CLICKHOUSE_DATABASE", "a;b", "clickhouse_database"),
    ],
)
def test_a_wrong_value_names_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(monkeypatch, {}, **{name: value})


def test_the_password_file_wins_and_passwords_are_masked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-file\n")
    settings = load(
        monkeypatch, {}, CLICKHOUSE_PASSWORD="s3cret", CLICKHOUSE_PASSWORD_FILE=str(secret)
    )
    assert settings.password == "from-file"
    assert "s3cret" not in str(config.shown(settings))


def test_a_missing_password_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {}, CLICKHOUSE_PASSWORD_FILE="/nowhere")
    with pytest.raises(ConfigError, match="clickhouse_password_file"):
        _ = settings.password


def test_every_kafka_client_gets_tls_and_the_password_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-file\n")
    extra = '{"security.protocol": "SASL_SSL", "sasl.username": "headrace"}'
    settings = load(monkeypatch, {}, KAFKA_EXTRA=extra, KAFKA_PASSWORD_FILE=str(secret))
    expected = {
        "bootstrap.servers": "127.0.0.1:9092",
        "security.protocol": "SASL_SSL",
        "sasl.username": "headrace",
        "sasl.password": "from-file",
    }
    group = wiring.group_config(settings, "traces")
    for client in (wiring.kafka_client(settings), group.client(), group.librdkafka()):
        assert expected.items() <= client.items()
    assert "from-file" not in str(config.shown(settings))
    gone = load(monkeypatch, {}, KAFKA_PASSWORD_FILE="/nowhere")
    with pytest.raises(ConfigError, match="kafka_password_file"):
        wiring.kafka_client(gone)


def test_where_reading_goes_on_is_not_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = '{"auto.offset.reset": "earliest", "enable.auto.commit": true}'
    settings = load(monkeypatch, {}, KAFKA_EXTRA=extra)
    group = wiring.group_config(settings, "traces").librdkafka()
    assert (group["auto.offset.reset"], group["enable.auto.commit"]) == ("error", False)


def test_certificates_without_tls_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="clickhouse_secure"):
        load(monkeypatch, {}, CLICKHOUSE_CA_FILE="/etc/ssl/ca.crt")


def test_metrics_have_the_shortest_batches_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {})
    assert settings.max_age_s("metrics") < settings.max_age_s("traces")
    told = load(monkeypatch, {"batch_max_age_s": "0.5"})
    assert told.max_age_s("metrics") == told.max_age_s("logs") == 0.5


def test_the_configuration_hash_leaves_out_secrets_and_what_is_the_writers_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hash_of(changes: dict[str, Any]) -> str:
        return config.config_hash(load(monkeypatch, changes))

    usual = hash_of({})
    assert hash_of({"signals": "logs", "http_listen": "127.0.0.1:1"}) == usual
    assert hash_of({"clickhouse_password": "other"}) == usual
    assert hash_of({"batch_max_bytes": "70000"}) != usual
    brokers = [
        hash_of({"kafka_extra": {"sasl.username": "u", "sasl.password": p}}) for p in ("a", "b")
    ]
    assert brokers[0] == brokers[1] != usual


def test_the_configuration_page_is_what_the_settings_say() -> None:
    assert (DOCS / "configuration.md").read_text() == config_page.configuration_page()


def test_the_metrics_page_is_what_the_declarations_say() -> None:
    assert (DOCS / "metrics.md").read_text() == metrics_page.metrics_page()
