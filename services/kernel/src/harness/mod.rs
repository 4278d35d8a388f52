//! What tests and fuzzers share: headers, sound payloads, and the promises that must hold for
//! any bytes.

mod mutate;
mod native;
pub mod sample;

pub use mutate::{mutate, Rng};
pub use native::check_body;

use crate::guard_rule::PLACES;
use crate::{Action, Builder, Guard, Header, Limits, Names, Rule, Signal, Tiers, Treatment};

pub const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

const MAP: &str = "Map(LowCardinality(String), String)";

/// Headers of all tables of a signal, in the types of a new or of an old server.
pub fn layouts(signal: Signal, old: bool) -> Vec<(String, Header)> {
    let tables = signal.tables().iter();
    let headers = tables.map(|spec| {
        let mut header: Header = Vec::new();
        for field in spec.fields {
            let (name, ty) = (field.name.to_owned(), plain_type(field.name));
            let ty = if old {
                ty.replace("DateTime64(9)", "Int64")
            } else {
                ty
            };
            let nested = name.contains('.');
            if !old || ty != MAP {
                header.push((name, if nested { format!("Array({ty})") } else { ty }));
            } else if nested {
                header.push((
                    format!("{name}Key"),
                    "Array(Array(LowCardinality(String)))".into(),
                ));
                header.push((format!("{name}Value"), "Array(Array(String))".into()));
            } else {
                header.push((
                    format!("{name}.Key"),
                    "Array(LowCardinality(String))".into(),
                ));
                header.push((format!("{name}.Value"), "Array(String)".into()));
            }
        }
        header.push(("IngestId".into(), "UInt64".into()));
        (spec.name.to_owned(), header)
    });
    headers.collect()
}

fn plain_type(name: &str) -> String {
    match name.rsplit('.').next().unwrap_or(name) {
        "Timestamp" | "TimeUnix" | "StartTimeUnix" => "DateTime64(9)",
        n if n.ends_with("Attributes") => MAP,
        "SpanName" | "SpanKind" | "ServiceName" | "StatusCode" | "Name" | "MetricName"
        | "SeverityText" => "LowCardinality(String)",
        "Duration" | "Count" | "ZeroCount" => "UInt64",
        "TraceFlags" | "SeverityNumber" | "IsMonotonic" => "UInt8",
        "Flags" | "ScopeDroppedAttrCount" => "UInt32",
        "Scale" | "PositiveOffset" | "NegativeOffset" | "AggregationTemporality" => "Int32",
        "Value" | "Sum" | "Min" | "Max" | "Quantile" => "Float64",
        "ExplicitBounds" => "Array(Float64)",
        n if n.ends_with("BucketCounts") => "Array(UInt64)",
        _ => "String",
    }
    .to_owned()
}

/// An upper bound that keeps a fuzzer's memory small.
const SMALL: Limits = Limits {
    rows: 10_000,
    bytes: 4 << 20,
};

/// Some of the names that the writer keeps apart.
pub fn content() -> Names {
    let names = [
        "gen_ai.input.messages",
        "gen_ai.prompt",
        "llm.prompts",
        "renamed",
    ];
    Names::new(names.map(|name| name.as_bytes().to_vec()).into())
}

/// A builder of bare blocks for two shards.
pub fn builder(signal: Signal, old: bool) -> Builder {
    treated(signal, old, Treatment::default())
}

fn treated(signal: Signal, old: bool, treatment: Treatment) -> Builder {
    match Builder::with(signal, &layouts(signal, old), 2, false, SMALL, treatment) {
        Ok(builder) => builder,
        Err(error) => panic!("the harness's own header: {}", error.0),
    }
}

/// Rules of every kind, for all places.
fn guarded(signal: Signal, old: bool) -> Builder {
    let redact = Action::Redact {
        secrets: true,
        emails: true,
    };
    let tiers = Tiers {
        values: Default::default(),
        below: vec![(100.0, b"low".to_vec())],
        otherwise: None,
    };
    let rules = [
        (redact, "*"),
        (Action::Rename(b"renamed".to_vec()), "*e"),
        (Action::Map(tiers), "*t*"),
        (Action::Hash, "s*"),
        (Action::Truncate(9), "*"),
        (Action::Drop, "*id"),
        (Action::Cap(3), "*"),
    ];
    let rules = rules.map(|(action, pattern)| Rule {
        action,
        keys: vec![pattern.into()],
        places: PLACES.map(|(_, place)| place).to_vec(),
    });
    let treatment = Treatment {
        guard: Some(Guard::new(rules.into(), [1, 2])),
        tenant_attribute: b"service.name".to_vec(),
        content: content(),
    };
    treated(signal, old, treatment)
}

/// All pending blocks: (table, shard, body).
pub fn finish(builder: &mut Builder) -> Vec<(&'static str, usize, Vec<u8>)> {
    let ids: Vec<u64> = (1..=builder.pending().len() as u64).collect();
    let blocks = builder.finish(&ids).into_iter();
    blocks
        .map(|((table, shard), _, block)| (table, shard, block.body))
        .collect()
}

/// Holds any payload against the promises; gives whether it was accepted.
///
/// It does not panic. Refused, it leaves no trace. Accepted, its blocks are well-formed, and
/// the same whether scopes are looked for ahead of their records or everywhere. Rules break none
/// of this, and move no row to another block.
pub fn check(signal: Signal, old: bool, payload: &[u8]) -> bool {
    let sound = sample::request(signal, 1);
    let mut ahead = builder(signal, old);
    let mut everywhere = builder(signal, old);
    everywhere.look_everywhere();
    let mut accepted = false;
    for builder in [&mut ahead, &mut everywhere] {
        assert_eq!(builder.append(&sound), Ok(()));
        accepted = builder.append(payload).is_ok();
        assert_eq!(builder.append(&sound), Ok(()));
    }
    let mut without = self::builder(signal, old);
    for _ in 0..2 {
        assert_eq!(without.append(&sound), Ok(()));
    }
    assert_eq!(ahead.replaced_utf8(), everywhere.replaced_utf8());
    let rows: usize = ahead.pending().iter().map(|(_, rows)| rows).sum();
    assert_eq!(rows, ahead.rows());
    let blocks = finish(&mut ahead);
    assert_eq!(
        blocks,
        finish(&mut everywhere),
        "where scopes are looked for"
    );
    if !accepted {
        assert_eq!(
            blocks,
            finish(&mut without),
            "a refused payload left a trace"
        );
    }
    for (_, _, body) in &blocks {
        check_body(body);
    }
    assert_eq!((ahead.rows(), ahead.nbytes()), (0, 0));
    check_guarded(signal, old, payload);
    accepted
}

fn check_guarded(signal: Signal, old: bool, payload: &[u8]) {
    let mut plain = builder(signal, old);
    let mut ruled = guarded(signal, old);
    let sound = sample::request(signal, 1);
    assert_eq!(ruled.append(&sound), Ok(()));
    let pending = ruled.pending();
    let counts = ruled.rule_counts().to_vec();
    assert_eq!(plain.append(&sound), Ok(()));
    match (plain.append(payload), ruled.append(payload)) {
        (Ok(()), Ok(())) => assert_eq!(plain.pending(), ruled.pending()),
        (_, Err(_)) => {
            assert_eq!(ruled.pending(), pending);
            assert_eq!(ruled.rule_counts(), counts);
        }
        // Rules may make a payload small enough, but nothing malformed well-formed.
        (Err(error), Ok(())) => assert_eq!(error.reason(), "too_large"),
    }
    for (_, _, body) in finish(&mut ruled) {
        check_body(&body);
    }
}
