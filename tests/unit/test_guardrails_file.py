"""A file of guardrails: what it may say, and what an error says of it."""

import json
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from headrace_schema.genai import CONTENT
from headrace_writer.__main__ import make_parser
from headrace_writer.commands import guardrails
from headrace_writer.config import load
from headrace_writer.core.guardrails import PLACES, Rule, Treatment, fits
from headrace_writer.core.guardrails_file import GuardrailsError, parse
from headrace_writer.errors import ConfigError
from headrace_writer.shell.guardrails_source import GuardrailsSource, read_treatment
from support import builders
from support.decoders import KERNEL, REFERENCE, ingest_ids, layouts_of
from support.native_read import read_block
from support.timing import ManualClock

EVERY_ACTION = """
[[rule]]
id = "no-dumps"
action = "drop"
keys = ["debug.*", "*.dump"]

[[rule]]
id = "environment"
action = "rename"
keys = ["env"]
to = "deployment.environment.name"
on = ["resource"]

[[rule]]
id = "users"
action = "hash"
keys = ["user.id"]

[[rule]]
id = "short"
action = "truncate"
max_bytes = 4096
on = ["span", "body"]

[[rule]]
id = "latency"
action = "map"
keys = ["agent.response_latency_ms"]
below = [[500, "fast"], [2000, "usual"]]
otherwise = "slow"
signals = ["traces"]

[[rule]]
id = "tier"
action = "map"
keys = ["customer_tier"]
values = { gold = "paid", silver = "paid" }

[[rule]]
id = "known"
action = "allow"
keys = ["service.*", "deployment.*"]
on = ["resource"]

[[rule]]
id = "secrets"
action = "redact"

[[rule]]
id = "few"
action = "cap"
max_attributes = 64
"""


def test_every_action_is_read() -> None:
    rules = {rule.id: rule for rule in parse(EVERY_ACTION, "rules.toml")}
    assert [rule.action for rule in rules.values()] == [
        "drop", "rename", "hash", "truncate", "map", "map", "allow", "redact", "cap",
    ]  # fmt: skip
    assert rules["no-dumps"].keys == ("debug.*", "*.dump")
    assert rules["short"].on == ("span", "body")
    assert rules["latency"].below == ((500.0, "fast"), (2000.0, "usual"))
    assert rules["latency"].signals == ("traces",)
    assert rules["tier"].values == (("gold", "paid"), ("silver", "paid"))
    assert rules["secrets"].on == PLACES
    assert rules["secrets"].find == ("secrets", "emails")
    assert parse("", "rules.toml") == ()


def test_contents_are_apart_unless_a_setting_says_no() -> None:
    assert read_treatment(load({}, {})).content == CONTENT
    assert read_treatment(load({"content_apart": False}, {})) == Treatment()


def test_texts_of_spans_are_redacted_where_a_rule_says_so() -> None:
    key, address = "AKIA" + "A" * 16, "jane@example.org"
    span = builders.span(f"GET /{address}", status=Status(message=f"refused {key}"))
    payload = builders.traces(span).SerializeToString()
    text = RULE + 'action = "redact"\non = {}'
    for on, name, status, acted in (
        ('["name"]', "GET /[redacted]", f"refused {key}", 1),
        ('["status"]', f"GET /{address}", "refused [redacted]", 1),
        ('["name", "status", "span"]', "GET /[redacted]", "refused [redacted]", 2),
        ('["body"]', f"GET /{address}", f"refused {key}", 0),
    ):
        treatment = Treatment(parse(text.format(on), "f"))
        for backend in (KERNEL, REFERENCE):
            builder = backend.builder(
                "traces", layouts_of("traces", "modern"), 1, "none", treatment
            )
            builder.append_many([payload])
            assert builder.rule_counts == [acted]
            (block,) = builder.finish(ingest_ids(target for target, _ in builder.pending()))
            columns = read_block(block.body)
            found = (columns["SpanName"], columns["StatusMessage"])
            assert found == ([name.encode()], [status.encode()])


RULE = '[[rule]]\nid = "a"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]\n", "f:1:7: not TOML: Expected ']]' at the end of an array declaration"),
        ("[[rules]]\n", "f:1:3: unknown key 'rules'; did you mean 'rule'?"),
        ("rule = 1", "f:1:1: rules are tables: begin each with [[rule]]"),
        (RULE, "f:1:3: the rule has no action: one of drop, allow"),
        (RULE + 'action = "dorp"', "f:3:1: unknown action 'dorp'; did you mean 'drop'?"),
        (
            RULE + 'action = "drop"\n  key = ["x"]',
            "f:4:3: action drop takes no 'key'; did you mean 'keys'?",
        ),
        (
            RULE + 'action = "drop"\nkeys = ["x"]\nmax_bytes = 3',
            "f:5:1: action drop takes no 'max_bytes'; known are",
        ),
        (RULE + 'action = "drop"', "f:1:3: drop needs keys, for example"),
        (RULE + 'action = "drop"\nkeys = ["a*b"]', "f:4:1: 'a*b': a * may stand only at"),
        (RULE + 'action = "drop"\nkeys = []\non = ["spam"]', "did you mean 'span'?"),
        (
            RULE + 'action = "hash"\nkeys = ["x"]\non = ["body"]',
            "f:5:1: hash is not for body",
        ),
        (RULE + 'action = "truncate"\nmax_bytes = 0', "f:4:1: max_bytes is a whole number above 0"),
        (RULE + 'action = "truncate"', "f:3:1: the rule has no max_bytes"),
        (RULE + 'action = "map"\nkeys = ["x"]', "f:3:1: map needs values or below"),
        (
            RULE + 'action = "map"\nkeys = ["x"]\nbelow = [[2, "a"], [1, "b"]]',
            "f:5:1: the bounds of below must rise",
        ),
        (
            RULE + 'action = "rename"\nkeys = ["x"]\nto = "' + "x" * 65 + '"',
            "f:5:1: to: a text of 64 bytes at most",
        ),
        (
            RULE + 'action = "cap"\nmax_attributes = 1\n' + RULE + 'action = "redact"',
            "f:6:1: a rule before this one has the id 'a', too",
        ),
    ],
)
def test_an_error_has_a_place_and_a_hint(text: str, message: str) -> None:
    with pytest.raises(GuardrailsError) as caught:
        parse(text, "f")
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert str(caught.value).startswith("f:")


def test_patterns() -> None:
    assert [fits(p, "a.b.c") for p in ("a.b.c", "a.*", "*.c", "*.b.*", "*", "b", "*a", "c*")] == [
        True, True, True, True, True, False, False, False,
    ]  # fmt: skip


def test_the_fingerprint_tells_rules_keys_and_tenants_apart() -> None:
    rule = Rule("a", "drop", ("x",))
    treatments = [
        Treatment(),
        Treatment((rule,)),
        Treatment((rule, rule)),
        Treatment((rule,), hash_key=bytes(15) + b"\1"),
        Treatment((rule,), tenant_attribute="tenant.id"),
        Treatment(tenant_attribute="tenant.id"),
        Treatment(content=("gen_ai.prompt",)),
    ]
    prints = [treatment.fingerprint for treatment in treatments]
    assert prints[0] == ""
    assert len(set(prints)) == len(prints)
    assert Treatment((Rule("a", "drop", ("x",)),)).fingerprint == prints[1]


def test_a_hash_needs_its_key(tmp_path: Path) -> None:
    rules, key = tmp_path / "rules.toml", tmp_path / "key"
    rules.write_text('[[rule]]\nid = "u"\naction = "hash"\nkeys = ["user.id"]\n')
    with pytest.raises(ConfigError, match="guardrails_key_file"):
        read_treatment(load({"guardrails_file": str(rules)}, {}))
    flags = {"guardrails_file": str(rules), "guardrails_key_file": str(key)}
    key.write_text("ab" * 15)
    with pytest.raises(ConfigError, match="15 bytes"):
        read_treatment(load(flags, {}))
    key.write_text("ab" * 16 + "\n")
    assert read_treatment(load(flags, {})).hash_key == b"\xab" * 16


def test_a_changed_file_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    text = '[[rule]]\nid = "a"\naction = "drop"\nkeys = ["{}"]\n'
    rules.write_text(text.format("x"))
    clock = ManualClock()
    source = GuardrailsSource(load({"guardrails_file": str(rules)}, {}), clock)
    heard: list[bool] = []
    source.on_reload = heard.append
    first = source.now
    rules.write_text(text.format("other"))
    assert source.changed(first) is None
    clock.sleep(6)
    second = source.changed(first)
    assert second is not None
    assert second.rules[0].keys == ("other",)
    rules.write_text("[[rule]]\n")
    source.ask()
    assert source.changed(second) is None
    assert source.changed(first) is second
    assert heard == [True, False]


def headrace(argv: list[str]) -> int:
    return guardrails.run(make_parser().parse_args(argv), load({}, {}))


EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "guardrails.toml"


def test_the_example_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert headrace(["guardrails", "check", str(EXAMPLE)]) == 0
    assert "10 rules, all fine" in capsys.readouterr().out


def test_a_sample_shows_what_each_rule_does(capsys: pytest.CaptureFixture[str]) -> None:
    sample = ["--attribute", "note=to jane@example.org", "--attribute", "debug.heap=1"]
    assert headrace(["guardrails", "test", str(EXAMPLE), *sample, "--json"]) == 0
    told = [(a["rule"], a["key"], a["after"]) for a in json.loads(capsys.readouterr().out)]
    assert told == [
        ("no-secrets", "note", "to [redacted]"),
        ("no-payload-dumps", "debug.heap", None),
    ]


def test_a_payload_is_taken_through_the_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = builders.logs(builders.log("mail a@b.org"), resource={"env": "prod"})
    for name, content in (
        ("request.bin", request.SerializeToString()),
        ("request.json", MessageToJson(request).encode()),
    ):
        (tmp_path / name).write_bytes(content)
        payload = ["--signal", "logs", "--payload", str(tmp_path / name), "--json"]
        assert headrace(["guardrails", "test", str(EXAMPLE), *payload]) == 0
        told = [(a["action"], a["place"], a["after"]) for a in json.loads(capsys.readouterr().out)]
        assert told == [("rename", "resource", "prod"), ("redact", "body", "mail [redacted]")]
