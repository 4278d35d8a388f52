use super::*;
use crate::any::scan_pair;
use crate::harness::sample::{array, map, new, pair, string, Message};

/// The text of an attribute with this value.
fn text(value: &Message) -> String {
    let attribute = pair("k", value).0;
    let (_, value) = scan_pair(&attribute, Range::all(&attribute)).unwrap();
    let mut out = Vec::new();
    push_text(&attribute, &value, &mut out, &mut Repair::default()).unwrap();
    String::from_utf8(out).unwrap()
}

fn int(value: i64) -> Message {
    new().varint(3, value as u64)
}

fn double(value: f64) -> Message {
    new().double(4, value)
}

#[test]
fn scalars() {
    assert_eq!(text(&new()), "");
    assert_eq!(text(&string("as it is: \"<&>\"")), "as it is: \"<&>\"");
    assert_eq!(text(&new().varint(2, 1)), "true");
    assert_eq!(text(&new().varint(2, 0)), "false");
    assert_eq!(text(&int(i64::MIN)), "-9223372036854775808");
    assert_eq!(text(&double(f64::NAN)), "NaN");
    assert_eq!(text(&new().bytes(7, &[255, 0])), "/wA=");
    // An index into a string table: nothing to show.
    assert_eq!(text(&string("lost").varint(8, 3)), "");
}

#[test]
fn arrays_and_maps_as_json() {
    let inner = map(&[
        pair("z", &int(1)),
        pair("a", &array(&[])),
        pair("m", &map(&[])),
    ]);
    let value = array(&[
        string("x"),
        new(),
        double(0.1),
        inner,
        new().bytes(7, b"hi"),
    ]);
    assert_eq!(
        text(&value),
        r#"["x",null,0.1,{"a":[],"m":{},"z":1},"aGk="]"#
    );
    assert_eq!(text(&array(&[new().bytes(7, b"")])), "[null]");
    assert_eq!(text(&array(&[])), "[]");
    assert_eq!(text(&map(&[])), "{}");
    assert_eq!(text(&map(&[new().text(1, "unset")])), r#"{"unset":null}"#);
}

#[test]
fn the_last_of_equal_keys_wins() {
    let value = map(&[pair("a", &int(1)), pair("b", &int(2)), pair("a", &int(3))]);
    assert_eq!(text(&value), r#"{"a":3,"b":2}"#);
    // Also when only the repair makes them equal.
    let bad = |byte, n| new().bytes(1, &[byte]).message(2, &int(n));
    assert_eq!(
        text(&map(&[bad(0xff, 1), bad(0xfe, 2)])),
        "{\"\u{fffd}\":2}"
    );
}

#[test]
fn strings_are_escaped_as_go_does() {
    let value = array(&[string(
        "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}<>&\u{2028}\u{2029}é",
    )]);
    let want = r#"["\"\\/\b\f\n\r\t\u0001\u001f"#.to_owned() + "\u{7f}<>&\\u2028\\u2029é\"]";
    assert_eq!(text(&value), want);
}

#[test]
fn what_json_cannot_hold_empties_the_text() {
    assert_eq!(text(&array(&[int(1), double(f64::INFINITY)])), "");
    assert_eq!(text(&map(&[pair("a", &array(&[double(f64::NAN)]))])), "");
    // Unless another value replaces it.
    let value = map(&[pair("a", &double(f64::NAN)), pair("a", &int(1))]);
    assert_eq!(text(&value), r#"{"a":1}"#);
}

#[test]
fn nesting_is_cut_at_32_levels() {
    let nest = |levels: usize| (1..levels).fold(int(7), |inner, _| array(&[inner]));
    assert_eq!(
        text(&nest(32)),
        format!("{}7{}", "[".repeat(31), "]".repeat(31))
    );
    let cut = format!("{}\"<nested too deep>\"{}", "[".repeat(32), "]".repeat(32));
    assert_eq!(text(&nest(33)), cut);
    assert_eq!(text(&nest(1000)), cut);
    let maps = (0..40).fold(int(7), |inner, _| map(&[pair("k", &inner)]));
    assert!(text(&maps).contains("{\"k\":\"<nested too deep>\"}"));
}

#[test]
fn messages_in_pieces_are_merged() {
    let pieces = array(&[int(1)]).message(5, &new().message(1, &int(2)));
    assert_eq!(text(&pieces), "[1,2]");
    // The same, as two `value` fields of one KeyValue.
    let attribute = pair("k", &array(&[int(1)])).message(2, &array(&[int(2)])).0;
    let (_, value) = scan_pair(&attribute, Range::all(&attribute)).unwrap();
    let mut out = Vec::new();
    push_text(&attribute, &value, &mut out, &mut Repair::default()).unwrap();
    assert_eq!(out, b"[1,2]");
}

#[test]
fn the_last_member_of_a_oneof_wins_and_the_others_are_checked() {
    assert_eq!(text(&int(1).text(1, "x")), "x");
    assert_eq!(text(&array(&[int(1)]).text(1, "x")), "x");
    let broken = pair("k", &new().bytes(5, &[0x0a, 9]).text(1, "x")).0;
    assert!(scan_pair(&broken, Range::all(&broken)).is_err());
}

#[test]
fn attributes_as_one_object_keep_what_json_cannot_hold() {
    let pairs = [
        pair("nan", &double(f64::NAN)),
        pair("list", &array(&[double(f64::INFINITY)])),
        pair("a", &int(1)),
        pair("none", &new()),
    ];
    let buf: Vec<u8> = pairs.iter().flat_map(|pair| pair.0.clone()).collect();
    let mut start = 0;
    let ranges: Vec<Range> = pairs
        .iter()
        .map(|pair| {
            let end = start + pair.0.len() as u32;
            Range {
                start: std::mem::replace(&mut start, end),
                end,
            }
        })
        .collect();
    let mut out = Vec::new();
    push_object(&buf, &ranges, &mut out, &mut Repair::default()).unwrap();
    assert_eq!(out, br#"{"a":1,"list":"","nan":"NaN","none":null}"#);
}
