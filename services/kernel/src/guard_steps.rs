//! What the rules make of a key, worked out once and kept.

use crate::dict::same;
use crate::guard_rule::{Action, Place, Rule};
use crate::redact;
use std::collections::HashMap;

/// The rules that a key meets, in order.
pub struct Steps {
    key: Vec<u8>,
    pub rules: Box<[u16]>,
    /// Some step looks at values.
    pub of_text: bool,
    /// Those that do find nothing in a number.
    pub not_numbers: bool,
    /// What a value must be for all of them to leave it as it is, if that can be told at a
    /// glance: steps that cut, redact or cap only.
    pub glance: Option<Glance>,
}

pub struct Glance {
    /// Longest text that is not cut.
    pub most: usize,
    redacts: bool,
}

impl Glance {
    /// Whether a value surely stays as it is. It need not be valid UTF-8: a repair makes a byte
    /// three, and none of them is part of what is looked for.
    #[inline(always)]
    pub fn lets_pass(&self, value: &[u8]) -> bool {
        3 * value.len() <= self.most && !(self.redacts && redact::suspicious(value))
    }
}

/// Longest text of a bool or number.
pub const MOST_OF_NUMBER: usize = 32;

/// Keys kept per place, so that no sender fills the memory.
pub const MOST_KEYS: usize = 4096;
const MOST_HINTS: usize = 128;

/// Steps of the keys seen at one place.
#[derive(Default)]
pub struct Known {
    pub steps: Vec<Steps>,
    by_key: HashMap<Vec<u8>, u32>,
    /// Number of the steps by place in the list before: the n-th key is usually the same again.
    hints: Vec<u32>,
}

impl Known {
    /// The number of a key's steps, if they are those of the list before. Such a key is valid.
    #[inline(always)]
    pub fn hinted(&self, at: usize, key: &[u8]) -> Option<usize> {
        let hint = *self.hints.get(at)? as usize;
        let same = self.steps.get(hint).is_some_and(|s| same(&s.key, key));
        same.then_some(hint)
    }

    /// The number of a valid key's steps.
    #[inline(always)]
    pub fn find(&mut self, rules: &[Rule], place: Place, at: usize, key: &[u8]) -> usize {
        match self.hinted(at, key) {
            Some(number) => number,
            None => self.look_up(rules, place, at, key),
        }
    }

    #[inline(never)]
    pub fn look_up(&mut self, rules: &[Rule], place: Place, at: usize, key: &[u8]) -> usize {
        let number = match self.by_key.get(key) {
            Some(&number) => number,
            None => {
                if self.steps.len() == MOST_KEYS {
                    *self = Known::default();
                }
                let number = self.steps.len() as u32;
                self.steps.push(steps(rules, place, key));
                self.by_key.insert(key.to_vec(), number);
                number
            }
        };
        if at < MOST_HINTS {
            if self.hints.len() <= at {
                self.hints.resize(at + 1, u32::MAX);
            }
            self.hints[at] = number;
        }
        number as usize
    }
}

/// The numbers of the rules that a key meets: drops end them, renames change the key.
fn met(rules: &[Rule], place: Place, key: &[u8]) -> Vec<u16> {
    let mut met = Vec::new();
    let mut now = key;
    for (number, rule) in rules.iter().enumerate() {
        if !rule.places.contains(&place) {
            continue;
        }
        let is_for = place.is_text() || rule.is_for(now);
        let meets = match &rule.action {
            Action::Allow => !is_for,
            Action::Rename(to) => is_for && to != now,
            _ => is_for,
        };
        if !meets {
            continue;
        }
        met.push(number as u16);
        match &rule.action {
            Action::Drop | Action::Allow => break,
            Action::Rename(to) => now = to,
            _ => {}
        }
    }
    met
}

fn steps(rules: &[Rule], place: Place, key: &[u8]) -> Steps {
    let met = met(rules, place, key);
    let actions = || met.iter().map(|&n| &rules[usize::from(n)].action);
    let of_text = actions().any(Action::of_text);
    let not_numbers = actions()
        .filter(|action| action.of_text())
        .all(|action| matches!(action, Action::Redact { .. }));
    let most = actions().map(|action| match action {
        Action::Truncate(most) => Some(*most),
        Action::Redact { .. } | Action::Cap(_) => Some(usize::MAX),
        _ => None,
    });
    let redacts = actions().any(|action| matches!(action, Action::Redact { .. }));
    let most = most.collect::<Option<Vec<usize>>>();
    let glance = most.map(|most| Glance {
        most: most.into_iter().min().unwrap_or(usize::MAX),
        redacts,
    });
    Steps {
        key: key.to_vec(),
        glance,
        of_text,
        not_numbers,
        rules: met.into_boxed_slice(),
    }
}
