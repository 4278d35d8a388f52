use super::*;
use crate::guard_rule::fits;
use crate::guard_steps::MOST_KEYS;

fn rule(action: Action, keys: &[&str]) -> Rule {
    Rule {
        action,
        keys: keys.iter().map(|k| k.as_bytes().to_vec()).collect(),
        places: vec![Place::Span, Place::Body],
    }
}

fn pairs(list: &[(&str, &str)]) -> Pairs {
    let mut row = Pairs::default();
    for (key, value) in list {
        row.push(key.as_bytes(), value.as_bytes());
    }
    row
}

fn passed(guard: &mut Guard, list: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut row = pairs(list);
    guard.pass_pairs(Place::Span, &mut row);
    let text = |r: Range| String::from_utf8(r.of(&row.arena).to_vec()).unwrap();
    row.pairs.iter().map(|&(k, v)| (text(k), text(v))).collect()
}

#[test]
fn patterns() {
    for (pattern, key, want) in [
        ("a.b", "a.b", true),
        ("a.b", "a.bc", false),
        ("a.*", "a.b", true),
        ("*.b", "a.b", true),
        ("*.b.*", "a.b.c", true),
        ("*.b.*", "a.b", false),
        ("*", "", true),
        ("**", "x", true),
    ] {
        assert_eq!(
            fits(pattern.as_bytes(), key.as_bytes()),
            want,
            "{pattern} {key}"
        );
    }
}

#[test]
fn rules_apply_in_order_and_are_counted() {
    let mut guard = Guard::new(
        vec![
            rule(Action::Rename(b"b".to_vec()), &["a"]),
            rule(Action::Truncate(3), &["b"]),
            rule(Action::Drop, &["*.secret"]),
            rule(Action::Cap(2), &["*"]),
        ],
        [0, 0],
    );
    let list = [("a", "12345"), ("x.secret", "1"), ("c", "1"), ("d", "1")];
    let want = [("b", "123"), ("c", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(passed(&mut guard, &list), want);
    assert_eq!(guard.counts(), [1, 1, 1, 1]);
    guard.mark();
    assert_eq!(passed(&mut guard, &list), want);
    guard.rollback();
    assert_eq!(guard.counts(), [1, 1, 1, 1]);
}

#[test]
fn a_character_is_not_cut() {
    let mut guard = Guard::new(vec![rule(Action::Truncate(4), &["*"])], [0, 0]);
    let want = vec![("k".to_owned(), "aää".chars().take(2).collect::<String>())];
    assert_eq!(passed(&mut guard, &[("k", "aää")]), want);
    assert_eq!(
        guard.pass_text(Place::Body, "abcd€".as_bytes()),
        Some(&b"abcd"[..])
    );
    assert_eq!(guard.pass_text(Place::Body, b"abcd"), None);
}

#[test]
fn a_flood_of_keys_is_forgotten() {
    let mut guard = Guard::new(vec![rule(Action::Drop, &["drop"])], [0, 0]);
    for i in 0..3 * MOST_KEYS {
        let key = format!("key-{i}");
        assert_eq!(passed(&mut guard, &[(&key, "v"), ("drop", "v")]).len(), 1);
    }
    assert!(guard.known[Place::Span as usize].steps.len() <= MOST_KEYS);
}
