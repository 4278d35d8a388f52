//! Guardrails: rules that drop, rename, hash, cut, map or redact attributes and other texts.
//!
//! `core/guardrails.py` reads the rules' file, `core/reference_guard.py` is the same in readable
//! form. What the rules make of a key is worked out once and kept (`guard_steps`), so that a record
//! of known keys costs a comparison per attribute.

use crate::any::{scan_pair, simple_pair, Any, Kind};
use crate::buffer::push_len;
use crate::guard_rule::{rewrite, Action, Place, Rule, PLACES};
use crate::guard_steps::{Known, MOST_OF_NUMBER};
use crate::json::push_text;
use crate::pairs::{Pairs, SLACK};
use crate::text::{is_utf8, Repair};
use crate::wire::{Range, Result};

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

    /// The number of the steps of a valid key at a place.
    #[inline(always)]
    fn find(&mut self, place: Place, at: usize, key: &[u8]) -> usize {
        self.known[place as usize].find(&self.rules, place, at, key)
    }

    /// Whether a value surely passes the steps of its key as it is.
    #[inline(always)]
    fn lets_pass(&self, place: Place, number: usize, value: &[u8]) -> bool {
        let steps = &self.known[place as usize].steps[number];
        let glance = steps.glance.as_ref();
        self.uncapped && glance.is_some_and(|g| g.lets_pass(value))
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
            let known = &mut self.known[place as usize];
            let hinted = known.hinted(at, key.of(buf));
            if hinted.is_some() || is_utf8(buf, key) {
                let number = match hinted {
                    Some(number) => number,
                    None => known.look_up(&self.rules, place, at, key.of(buf)),
                };
                let steps = &known.steps[number];
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
            Some(rule) => self.rules[usize::from(rule)].new_name().to_vec(),
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
                    let key = renamed.map_or(key, |rule| self.rules[usize::from(rule)].new_name());
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
}

#[path = "guard_texts.rs"]
mod texts;

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
