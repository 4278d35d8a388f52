//! Guardrails: rules that drop, rename, hash, cut, map or redact attributes and bodies.
//!
//! `core/guardrails.py` reads the rules' file, `core/reference_guard.py` is the same in readable
//! form. What the rules make of a key is worked out once and kept, so that a record of known keys
//! costs a comparison per attribute.

use crate::any::{scan_pair, simple_pair, Any, Kind};
use crate::buffer::push_len;
use crate::dict::same;
use crate::json::push_text;
use crate::pairs::{Pairs, SLACK};
use crate::redact;
use crate::sip::sip_hash_128;
use crate::text::{is_utf8, push_hex, Repair};
use crate::tiers::Tiers;
use crate::wire::{Range, Result};
use std::collections::HashMap;

/// Where a list of attributes stands, or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Resource,
    Scope,
    Span,
    Event,
    Link,
    Log,
    Point,
    Exemplar,
    Body,
}

pub const PLACES: [(&str, Place); 9] = [
    ("resource", Place::Resource),
    ("scope", Place::Scope),
    ("span", Place::Span),
    ("event", Place::Event),
    ("link", Place::Link),
    ("log", Place::Log),
    ("point", Place::Point),
    ("exemplar", Place::Exemplar),
    ("body", Place::Body),
];

impl Place {
    pub fn named(name: &str) -> Option<Place> {
        PLACES.iter().find(|(n, _)| *n == name).map(|&(_, p)| p)
    }
}

/// What a rule does to an attribute that it is for.
pub enum Action {
    Drop,
    /// Drops what it is not for.
    Allow,
    /// Keeps the first so many of a list.
    Cap(usize),
    Rename(Vec<u8>),
    Hash,
    Truncate(usize),
    Map(Tiers),
    Redact {
        secrets: bool,
        emails: bool,
    },
}

impl Action {
    /// Whether it looks at the value.
    fn of_text(&self) -> bool {
        use Action::*;
        matches!(self, Hash | Truncate(_) | Map(_) | Redact { .. })
    }
}

pub struct Rule {
    pub action: Action,
    /// Exact keys, or with `*` at an end or at both.
    pub keys: Vec<Vec<u8>>,
    pub places: Vec<Place>,
}

impl Rule {
    fn is_for(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|pattern| fits(pattern, key))
    }
}

fn fits(pattern: &[u8], key: &[u8]) -> bool {
    match pattern {
        [b'*'] => true,
        [b'*', middle @ .., b'*'] => {
            middle.is_empty() || key.windows(middle.len()).any(|window| window == middle)
        }
        [b'*', end @ ..] => key.ends_with(end),
        [start @ .., b'*'] => key.starts_with(start),
        _ => pattern == key,
    }
}

/// The rules that a key meets, in order.
struct Steps {
    key: Vec<u8>,
    rules: Box<[u16]>,
    /// Some step looks at values.
    of_text: bool,
    /// Those that do find nothing in a number.
    not_numbers: bool,
    /// What a value must be for all of them to leave it as it is, if that can be told at a
    /// glance: steps that cut, redact or cap only.
    glance: Option<Glance>,
}

struct Glance {
    /// Longest text that is not cut.
    most: usize,
    redacts: bool,
}

impl Glance {
    /// Whether a value surely stays as it is. It need not be valid UTF-8: a repair makes a byte
    /// three, and none of them is part of what is looked for.
    #[inline(always)]
    fn lets_pass(&self, value: &[u8]) -> bool {
        3 * value.len() <= self.most && !(self.redacts && redact::suspicious(value))
    }
}

/// Longest text of a bool or number.
const MOST_OF_NUMBER: usize = 32;

/// Steps of the keys seen at one place.
#[derive(Default)]
struct Known {
    steps: Vec<Steps>,
    by_key: HashMap<Vec<u8>, u32>,
    /// Number of the steps by place in the list before: the n-th key is usually the same again.
    hints: Vec<u32>,
}

/// Keys kept per place, so that no sender fills the memory.
const MOST_KEYS: usize = 4096;
const MOST_HINTS: usize = 128;

/// What becomes of one attribute.
enum Fate {
    Kept,
    Dropped,
    /// The key, if it is another; and whether `Guard::text` is the new value.
    Changed(Option<u16>, bool),
}

pub struct Guard {
    rules: Vec<Rule>,
    key: [u64; 2],
    known: [Known; PLACES.len()],
    /// Whether any rule is for a place.
    busy: [bool; PLACES.len()],
    /// Attributes that every cap lets through, and whether the present list has no more.
    least_cap: usize,
    uncapped: bool,
    /// Attributes let through by each cap in the present list.
    capped: Vec<usize>,
    /// What each rule did since construction.
    counts: Vec<u64>,
    mark: Vec<u64>,
    /// A value after the steps.
    text: Vec<u8>,
    spare: Vec<u8>,
    /// A value before them, where it had to be rendered.
    rendered: Vec<u8>,
    /// KeyValue messages of a list that has changed.
    out: Vec<u8>,
    ranges: Vec<Range>,
    pairs: Pairs,
}

impl Guard {
    pub fn new(rules: Vec<Rule>, key: [u64; 2]) -> Guard {
        let zeros = vec![0; rules.len()];
        let caps = rules.iter().filter_map(|rule| match rule.action {
            Action::Cap(most) => Some(most),
            _ => None,
        });
        let is_busy = |(_, place)| rules.iter().any(|rule| rule.places.contains(&place));
        Guard {
            busy: PLACES.map(is_busy),
            least_cap: caps.min().unwrap_or(usize::MAX),
            uncapped: false,
            capped: vec![0; rules.len()],
            counts: zeros.clone(),
            mark: zeros,
            rules,
            key,
            known: Default::default(),
            text: Vec::new(),
            spare: Vec::new(),
            rendered: Vec::new(),
            out: Vec::new(),
            ranges: Vec::new(),
            pairs: Pairs::default(),
        }
    }

    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    pub fn mark(&mut self) {
        self.mark.copy_from_slice(&self.counts);
    }

    pub fn rollback(&mut self) {
        self.counts.copy_from_slice(&self.mark);
    }

    /// The number of the steps of a key at a place, if they are those of the list before. Such a
    /// key is valid.
    #[inline(always)]
    fn hinted(&self, place: Place, at: usize, key: &[u8]) -> Option<usize> {
        let known = &self.known[place as usize];
        let hint = *known.hints.get(at)? as usize;
        let same = known.steps.get(hint).is_some_and(|s| same(&s.key, key));
        same.then_some(hint)
    }

    /// The number of the steps of a valid key at a place.
    #[inline(always)]
    fn find(&mut self, place: Place, at: usize, key: &[u8]) -> usize {
        match self.hinted(place, at, key) {
            Some(number) => number,
            None => self.look_up(place, at, key),
        }
    }

    /// Whether a value surely passes the steps of its key as it is.
    #[inline(always)]
    fn lets_pass(&self, place: Place, number: usize, value: &[u8]) -> bool {
        let steps = &self.known[place as usize].steps[number];
        let glance = steps.glance.as_ref();
        self.uncapped && glance.is_some_and(|g| g.lets_pass(value))
    }

    #[inline(never)]
    fn look_up(&mut self, place: Place, at: usize, key: &[u8]) -> usize {
        let known = &mut self.known[place as usize];
        let number = match known.by_key.get(key) {
            Some(&number) => number,
            None => {
                if known.steps.len() == MOST_KEYS {
                    *known = Known::default();
                }
                let number = known.steps.len() as u32;
                known.steps.push(steps(&self.rules, place, key));
                known.by_key.insert(key.to_vec(), number);
                number
            }
        };
        if at < MOST_HINTS {
            if known.hints.len() <= at {
                known.hints.resize(at + 1, u32::MAX);
            }
            known.hints[at] = number;
        }
        number as usize
    }

    fn start_list(&mut self, attributes: usize) {
        self.uncapped = attributes <= self.least_cap;
        if !self.uncapped {
            self.capped.fill(0);
        }
    }

    /// Takes an attribute through its steps. `source`: its value's text, where steps need it.
    fn run(&mut self, place: Place, number: usize, source: &[u8]) -> Fate {
        let Guard {
            rules,
            known,
            counts,
            capped,
            uncapped,
            text,
            spare,
            key,
            ..
        } = self;
        let steps = &known[place as usize].steps[number];
        let (mut renamed, mut changed) = (None, false);
        for &at in &steps.rules {
            let rule = usize::from(at);
            let value: &[u8] = if changed { text } else { source };
            let acted = match &rules[rule].action {
                Action::Drop | Action::Allow => {
                    counts[rule] += 1;
                    return Fate::Dropped;
                }
                Action::Cap(_) if *uncapped => continue,
                Action::Cap(most) => {
                    capped[rule] += 1;
                    if capped[rule] > *most {
                        counts[rule] += 1;
                        return Fate::Dropped;
                    }
                    continue;
                }
                Action::Rename(_) => {
                    renamed = Some(at);
                    counts[rule] += 1;
                    continue;
                }
                action => {
                    spare.clear();
                    rewrite(action, *key, value, spare)
                }
            };
            if acted {
                counts[rule] += 1;
                core::mem::swap(text, spare);
                changed = true;
            }
        }
        if changed || renamed.is_some() {
            Fate::Changed(renamed, changed)
        } else {
            Fate::Kept
        }
    }

    fn new_name(&self, rule: u16) -> &[u8] {
        match &self.rules[usize::from(rule)].action {
            Action::Rename(to) => to,
            _ => unreachable!("only Rename gives a name"),
        }
    }

    /// KeyValue messages after the rules. True: they are other ones, see `changed`.
    pub fn pass(
        &mut self,
        place: Place,
        buf: &[u8],
        pairs: &[Range],
        repair: &mut Repair,
    ) -> Result<bool> {
        if !self.busy[place as usize] {
            return Ok(false);
        }
        self.start_list(pairs.len());
        self.ranges.clear();
        self.out.clear();
        let mut changed = false;
        for (at, &pair) in pairs.iter().enumerate() {
            let fate = self.judge(place, at, buf, pair, repair)?;
            if matches!(fate, Fate::Kept) {
                if changed {
                    self.put(|out| out.extend_from_slice(pair.of(buf)));
                }
                continue;
            }
            if !changed {
                changed = true;
                for &before in &pairs[..at] {
                    self.put(|out| out.extend_from_slice(before.of(buf)));
                }
            }
            if let Fate::Changed(renamed, new_value) = fate {
                self.put_changed(buf, pair, renamed, new_value, repair)?;
            }
        }
        if changed {
            self.out.extend_from_slice(&[0; SLACK]);
        }
        Ok(changed)
    }

    /// What `pass` has made.
    pub fn changed(&self) -> (&[u8], &[Range]) {
        (&self.out, &self.ranges)
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len() as u32;
        write(&mut self.out);
        let end = self.out.len() as u32;
        self.ranges.push(Range { start, end });
    }

    #[inline(always)]
    fn judge(
        &mut self,
        place: Place,
        at: usize,
        buf: &[u8],
        pair: Range,
        repair: &mut Repair,
    ) -> Result<Fate> {
        if let Some((key, kind, scalar, range)) = simple_pair(buf, pair) {
            let hinted = self.hinted(place, at, key.of(buf));
            if hinted.is_some() || is_utf8(buf, key) {
                let number = match hinted {
                    Some(number) => number,
                    None => self.look_up(place, at, key.of(buf)),
                };
                let steps = &self.known[place as usize].steps[number];
                if steps.rules.is_empty() {
                    return Ok(Fate::Kept);
                }
                if let (Some(glance), true) = (&steps.glance, self.uncapped) {
                    let passes = match kind {
                        Kind::Str => glance.lets_pass(range.of(buf)),
                        _ => glance.most >= MOST_OF_NUMBER,
                    };
                    if passes {
                        return Ok(Fate::Kept);
                    }
                }
                if !steps.of_text || (steps.not_numbers && kind != Kind::Str) {
                    return Ok(self.run(place, number, b""));
                }
                if kind == Kind::Str && is_utf8(buf, range) {
                    return Ok(self.run(place, number, range.of(buf)));
                }
                let value = Any {
                    kind,
                    scalar,
                    range,
                    more: Vec::new(),
                };
                return self.render_and_run(place, number, buf, &value, repair);
            }
        }
        let (key, value) = scan_pair(buf, pair)?;
        let number = if is_utf8(buf, key) {
            self.find(place, at, key.of(buf))
        } else {
            self.find(place, at, Repair::default().fix(key.of(buf)))
        };
        if self.known[place as usize].steps[number].rules.is_empty() {
            return Ok(Fate::Kept);
        }
        if value.kind == Kind::Str {
            let text = value.range.of(buf);
            if self.lets_pass(place, number, text) {
                return Ok(Fate::Kept);
            }
            if is_utf8(buf, value.range) {
                return Ok(self.run(place, number, text));
            }
        }
        self.render_and_run(place, number, buf, &value, repair)
    }

    #[inline(never)]
    fn render_and_run(
        &mut self,
        place: Place,
        number: usize,
        buf: &[u8],
        value: &Any,
        repair: &mut Repair,
    ) -> Result<Fate> {
        let mut rendered = core::mem::take(&mut self.rendered);
        rendered.clear();
        // Also where no step asks for it: nothing malformed may hide in what is dropped.
        let done = push_text(buf, value, &mut rendered, repair);
        let fate = done.map(|()| self.run(place, number, &rendered));
        self.rendered = rendered;
        fate
    }

    fn put_changed(
        &mut self,
        buf: &[u8],
        pair: Range,
        renamed: Option<u16>,
        new_value: bool,
        repair: &mut Repair,
    ) -> Result<()> {
        let key = match renamed {
            Some(rule) => self.new_name(rule).to_vec(),
            None => {
                let mut key = Vec::new();
                crate::json::push_repaired(buf, scan_pair(buf, pair)?.0, &mut key, repair);
                key
            }
        };
        let text = core::mem::take(&mut self.text);
        self.put(|out| {
            if !new_value {
                // Of a field that comes twice the last one counts; the value keeps its type.
                out.extend_from_slice(pair.of(buf));
            }
            out.push(0x0a);
            push_len(out, key.len());
            out.extend_from_slice(&key);
            if new_value {
                let mut head = vec![0x0a];
                push_len(&mut head, text.len());
                out.push(0x12);
                push_len(out, head.len() + text.len());
                out.extend_from_slice(&head);
                out.extend_from_slice(&text);
            }
        });
        self.text = text;
        Ok(())
    }

    /// Valid pairs after the rules.
    pub fn pass_pairs(&mut self, place: Place, row: &mut Pairs) {
        if !self.busy[place as usize] {
            return;
        }
        self.start_list(row.pairs.len());
        let mut out = core::mem::take(&mut self.pairs);
        out.clear();
        let mut changed = false;
        for (at, &(key, value)) in row.pairs.iter().enumerate() {
            let (key, value) = (key.of(&row.arena), value.of(&row.arena));
            let number = self.find(place, at, key);
            let fate = if self.lets_pass(place, number, value) {
                Fate::Kept
            } else {
                self.run(place, number, value)
            };
            let (key, value) = match fate {
                Fate::Kept => (key, value),
                Fate::Dropped => {
                    changed = true;
                    continue;
                }
                Fate::Changed(renamed, new) => {
                    changed = true;
                    let key = renamed.map_or(key, |rule| self.new_name(rule));
                    (key, if new { &self.text[..] } else { value })
                }
            };
            out.push(key, value);
        }
        if changed {
            out.arena.extend_from_slice(&[0; SLACK]);
            core::mem::swap(row, &mut out);
        }
        self.pairs = out;
    }

    /// Whether a rule is for bodies.
    pub fn reads_bodies(&self) -> bool {
        self.busy[Place::Body as usize]
    }

    /// A valid body after the rules, or nothing if they leave it as it is.
    pub fn pass_body(&mut self, body: &[u8]) -> Option<&[u8]> {
        self.start_list(1);
        let number = self.find(Place::Body, 0, b"");
        if self.lets_pass(Place::Body, number, body) {
            return None;
        }
        match self.run(Place::Body, number, body) {
            Fate::Changed(_, true) => Some(&self.text),
            _ => None,
        }
    }
}

/// Writes what an action makes of a value to `out`; false if it leaves it as it is.
fn rewrite(action: &Action, key: [u64; 2], value: &[u8], out: &mut Vec<u8>) -> bool {
    match action {
        Action::Hash => {
            push_hex(&sip_hash_128(key, value), out);
            true
        }
        Action::Truncate(most) => {
            if value.len() <= *most {
                return false;
            }
            // Back to the beginning of a character that would be cut.
            let mut end = *most;
            while end > 0 && value[end] & 0xc0 == 0x80 {
                end -= 1;
            }
            out.extend_from_slice(&value[..end]);
            true
        }
        Action::Map(tiers) => match tiers.label(value) {
            Some(label) => {
                out.extend_from_slice(label);
                true
            }
            None => false,
        },
        Action::Redact { secrets, emails } => {
            let first = *secrets && redact::secrets(value, out);
            if !*emails {
                return first;
            }
            if !first {
                return redact::emails(value, out);
            }
            let mut second = Vec::new();
            if redact::emails(out, &mut second) {
                *out = second;
            }
            true
        }
        _ => false,
    }
}

/// The rules that an attribute of this key meets: drops end them, renames change the key.
fn steps(rules: &[Rule], place: Place, key: &[u8]) -> Steps {
    let mut met = Vec::new();
    let mut now = key;
    for (number, rule) in rules.iter().enumerate() {
        if !rule.places.contains(&place) {
            continue;
        }
        let is_for = place == Place::Body || rule.is_for(now);
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

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
