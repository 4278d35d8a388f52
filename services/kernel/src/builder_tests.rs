use super::*;
use crate::harness::sample::{self, new, pair, string, Message};
use crate::harness::{builder, check, finish, layouts, mutate, Rng, SIGNALS};

fn request(resource: &Message) -> Vec<u8> {
    new().message(1, resource).0
}

fn spans(scope: &Message) -> Vec<u8> {
    request(&new().message(2, scope))
}

#[test]
fn sound_requests_fill_every_table() {
    for signal in SIGNALS {
        for old in [false, true] {
            assert!(
                check(signal, old, &sample::request(signal, 5)),
                "{signal:?}"
            );
            let mut builder = builder(signal, old);
            assert_eq!(builder.append(&sample::request(signal, 64)), Ok(()));
            let tables: std::collections::BTreeSet<_> = builder
                .pending()
                .iter()
                .map(|((table, _), _)| *table)
                .collect();
            assert_eq!(tables.len(), signal.tables().len());
        }
    }
}

/// A thousand mutations of each signal; the fuzz binary goes on from here.
#[test]
fn hostile_requests_keep_the_promises() {
    let mut rng = Rng(0x5eed);
    for signal in SIGNALS {
        for round in 0..300 {
            let payload = mutate(&mut rng, &sample::request(signal, 1));
            check(signal, round % 2 == 0, &payload);
        }
    }
}

#[test]
fn every_truncation_is_refused_or_whole() {
    for signal in SIGNALS {
        let payload = sample::request(signal, 1);
        for end in 0..payload.len() {
            let mut builder = builder(signal, false);
            let result = builder.append(&payload[..end]);
            assert_eq!(result.is_ok(), end == 0, "{signal:?} cut at {end}");
            assert_eq!(builder.pending(), []);
        }
    }
}

#[test]
fn contexts_behind_their_records_count() {
    let resource = new().message(1, &pair("service.name", &string("late")));
    let scope = new().text(1, "late scope");
    let span = new().text(5, "a span");
    let ahead = new().message(1, &scope).message(2, &span).message(2, &span);
    let behind = new().message(2, &span).message(2, &span).message(1, &scope);
    let ahead = request(&new().message(1, &resource).message(2, &ahead));
    let behind = request(&new().message(2, &behind).message(1, &resource));
    let (mut one, mut other) = (
        builder(Signal::Traces, false),
        builder(Signal::Traces, false),
    );
    for _ in 0..3 {
        assert_eq!(one.append(&ahead), Ok(()));
        assert_eq!(other.append(&behind), Ok(()));
    }
    assert_eq!(other.rows(), 6);
    assert_eq!(finish(&mut one), finish(&mut other));
}

#[test]
fn a_message_may_not_hold_too_many_rows() {
    let limits = Limits {
        rows: 3,
        bytes: 1 << 30,
    };
    let headers = layouts(Signal::Traces, false);
    let mut builder = Builder::with(
        Signal::Traces,
        &headers,
        1,
        false,
        limits,
        Treatment::default(),
    )
    .unwrap();
    let with = |n| (0..n).fold(new(), |scope, _| scope.message(2, &new()));
    assert_eq!(builder.append(&spans(&with(3))), Ok(()));
    assert_eq!(
        builder.append(&spans(&with(4))),
        Err(Reject::TooManyRecords { limit: 3 })
    );
    assert_eq!(builder.rows(), 3);
}

#[test]
fn a_message_may_not_expand_too_far() {
    // 200 spans of two bytes share one attribute of 100 kB: 20 MB of columns.
    let limits = Limits {
        rows: 1 << 20,
        bytes: 1 << 20,
    };
    let headers = layouts(Signal::Traces, false);
    let mut builder = Builder::with(
        Signal::Traces,
        &headers,
        2,
        false,
        limits,
        Treatment::default(),
    )
    .unwrap();
    let resource = new().message(1, &pair("bomb", &string(&"x".repeat(100_000))));
    let with = |n| {
        let scope = (0..n).fold(new(), |scope, _| scope.message(2, &new()));
        request(&new().message(1, &resource).message(2, &scope))
    };
    assert_eq!(builder.append(&with(9)), Ok(()));
    let before = builder.nbytes();
    assert_eq!(
        builder.append(&with(200)),
        Err(Reject::TooLarge { limit: 1 << 20 })
    );
    assert_eq!((builder.rows(), builder.nbytes()), (9, before));
    // One row alone may be the one too much.
    let long = new().text(5, &"y".repeat(2 << 20));
    assert!(builder.append(&spans(&new().message(2, &long))).is_err());
    assert_eq!(builder.append(&with(9)), Ok(()));
}

#[test]
fn blocks_do_not_depend_on_what_was_before() {
    for signal in SIGNALS {
        let payload = sample::request(signal, 4);
        let mut fresh = builder(signal, false);
        let mut used = builder(signal, false);
        assert_eq!(used.append(&sample::request(signal, 9)), Ok(()));
        finish(&mut used);
        assert!(used.append(&payload[..payload.len() - 1]).is_err());
        for builder in [&mut fresh, &mut used] {
            assert_eq!(builder.append(&payload), Ok(()));
        }
        assert_eq!(finish(&mut fresh), finish(&mut used));
    }
}

#[test]
fn every_table_needs_a_layout_and_none_is_unknown() {
    let mut headers = layouts(Signal::Metrics, false);
    headers.pop();
    let error = Builder::new(Signal::Metrics, &headers, 1, false)
        .err()
        .unwrap();
    assert!(error.0.contains("otel_metrics_summary"), "{}", error.0);
    let error = Builder::new(Signal::Logs, &headers, 1, false)
        .err()
        .unwrap();
    assert!(error.0.contains("otel_metrics_gauge"), "{}", error.0);
}

#[test]
fn times_of_a_block_are_its_rows() {
    let mut builder = builder(Signal::Traces, false);
    let span = |start| new().fixed64(7, start);
    let scope = [5, u64::MAX, 7]
        .iter()
        .fold(new(), |s, &t| s.message(2, &span(t)));
    assert_eq!(builder.append(&spans(&scope)), Ok(()));
    let blocks = builder.finish(&[1]);
    assert_eq!(
        (blocks[0].2.min_time, blocks[0].2.max_time),
        (5, i64::MAX as u64)
    );
}

/// Whatever is taken within a limit makes no body longer than it, and what is left, also the
/// first payload, leaves no trace.
#[test]
fn no_body_is_longer_than_its_limit() {
    for signal in SIGNALS {
        for old in [false, true] {
            for limit in [0, 8_000, 20_000, 60_000] {
                let mut within = builder(signal, old);
                let mut plain = builder(signal, old);
                for rows in [64, 1, 3, 20, 1, 64, 7] {
                    let payload = sample::request(signal, rows);
                    match within.append_within(&payload, b"", limit) {
                        Ok(Appended::Taken) => assert_eq!(plain.append(&payload), Ok(())),
                        Ok(Appended::Left) => {}
                        Err(reject) => panic!("{reject:?}"),
                    }
                    assert_eq!(within.pending(), plain.pending());
                }
                let ids: Vec<u64> = within.pending().iter().map(|_| 7).collect();
                let (blocks, others) = (within.finish(&ids), plain.finish(&ids));
                assert!(limit > 0 || blocks.is_empty());
                assert!(limit < 60_000 || !blocks.is_empty());
                for ((_, _, block), (_, _, other)) in blocks.iter().zip(&others) {
                    assert!(block.raw_bytes <= limit, "{signal:?} {limit}");
                    assert_eq!(block.body, other.body);
                }
            }
        }
    }
}
