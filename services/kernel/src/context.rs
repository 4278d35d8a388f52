//! What the rows of one resource or scope share, parsed once and valid already.

use crate::any::scan_pair;
use crate::check;
use crate::guard::Guard;
use crate::guard_rule::Place;
use crate::json::{push_repaired, push_text};
use crate::pairs::Pairs;
use crate::text::Repair;
use crate::wire::{Range, Reader, Result};

/// The tag of field 2, which holds the scopes of a resource and the records of a scope.
pub const RECORD: u8 = 0x12;

/// Appends one KeyValue message to pairs; a value becomes its text.
pub fn push_pair(buf: &[u8], range: Range, row: &mut Pairs, repair: &mut Repair) -> Result<()> {
    let (key, value) = scan_pair(buf, range)?;
    let start = row.arena.len() as u32;
    push_repaired(buf, key, &mut row.arena, repair);
    let middle = row.arena.len() as u32;
    push_text(buf, &value, &mut row.arena, repair)?;
    let end = row.arena.len() as u32;
    let key = Range { start, end: middle };
    row.pairs.push((key, Range { start: middle, end }));
    Ok(())
}

/// A string that several rows share.
fn keep(buf: &[u8], range: Range, out: &mut Vec<u8>, repair: &mut Repair) {
    out.clear();
    push_repaired(buf, range, out, repair);
}

/// ResourceSpans, ResourceMetrics or ResourceLogs without their records.
#[derive(Default)]
pub struct Resource {
    pub generation: u64,
    pub attributes: Pairs,
    pub service: Vec<u8>,
    /// The service name before guardrails, where they changed it: they do not move rows to
    /// other shards.
    sent_service: Option<Vec<u8>>,
    pub schema_url: Vec<u8>,
    pub tenant: Vec<u8>,
}

impl Resource {
    /// Reads fields 1 (resource) and 3 (schema_url) wherever they stand in the message.
    /// Without `urls` the schema URL is left empty.
    pub fn read(
        &mut self,
        buf: &[u8],
        range: Range,
        urls: bool,
        repair: &mut Repair,
    ) -> Result<()> {
        self.generation += 1;
        self.attributes.clear();
        let mut reader = Reader::new(buf, range);
        let mut schema_url = Range::default();
        while !reader.done() {
            match reader.tag()? {
                0x0a => {
                    let inner = reader.bytes()?;
                    self.read_resource(buf, reader.within(inner), repair)?;
                }
                0x1a => schema_url = reader.bytes()?,
                tag => reader.skip(tag)?,
            }
        }
        if urls {
            keep(buf, schema_url, &mut self.schema_url, repair);
        }
        self.sent_service = None;
        self.find_service();
        Ok(())
    }

    fn find_service(&mut self) {
        self.service.clear();
        if let Some(value) = self.attributes.get(b"service.name") {
            self.service
                .extend_from_slice(value.of(&self.attributes.arena));
        }
    }

    /// Applies the guardrails to the attributes.
    pub fn guard(&mut self, guard: &mut Guard) {
        let sent = self.service.clone();
        guard.pass_pairs(Place::Resource, &mut self.attributes);
        self.find_service();
        self.sent_service = Some(sent);
    }

    /// The service name that decides on shards.
    pub fn routing_service(&self) -> &[u8] {
        self.sent_service.as_ref().unwrap_or(&self.service)
    }

    /// The tenant of the message's header, else that of an attribute.
    pub fn set_tenant(&mut self, of_message: &[u8], attribute: &[u8]) {
        self.tenant.clear();
        if !of_message.is_empty() {
            self.tenant.extend_from_slice(of_message);
        } else if !attribute.is_empty() {
            if let Some(value) = self.attributes.get(attribute) {
                self.tenant
                    .extend_from_slice(value.of(&self.attributes.arena));
            }
        }
    }

    fn read_resource(
        &mut self,
        buf: &[u8],
        mut reader: Reader<'_>,
        repair: &mut Repair,
    ) -> Result<()> {
        while !reader.done() {
            match reader.tag()? {
                0x0a => push_pair(buf, reader.bytes()?, &mut self.attributes, repair)?,
                0x1a => {
                    let entity = reader.bytes()?;
                    check::check(&check::ENTITY_REF, reader.within(entity), 0)?;
                }
                tag => reader.skip(tag)?,
            }
        }
        Ok(())
    }

    /// Most column bytes that one row of this resource takes.
    pub fn width(&self) -> usize {
        self.attributes.width() + self.service.len() + self.schema_url.len() + self.tenant.len()
    }
}

/// ScopeSpans, ScopeMetrics or ScopeLogs without their records.
#[derive(Default)]
pub struct Scope {
    pub generation: u64,
    pub name: Vec<u8>,
    pub version: Vec<u8>,
    pub attributes: Pairs,
    pub dropped: u32,
    pub schema_url: Vec<u8>,
}

/// How far into a message its context is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Up to the first record: where encoders put it.
    Ahead,
    /// To the end, over all records.
    Everywhere,
}

impl Scope {
    /// Reads fields 1 (scope) and 3 (schema_url, if `urls` are wanted). Gives a cursor that stands behind what
    /// was read: on the first record when looking ahead only.
    pub fn read<'a>(
        &mut self,
        buf: &'a [u8],
        range: Range,
        look: Look,
        urls: bool,
        repair: &mut Repair,
    ) -> Result<Reader<'a>> {
        self.generation += 1;
        self.attributes.clear();
        self.dropped = 0;
        let mut reader = Reader::new(buf, range);
        let (mut name, mut version, mut schema_url) = Default::default();
        while !reader.done() {
            if look == Look::Ahead && reader.peek() == Some(RECORD) {
                break;
            }
            match reader.tag()? {
                0x0a => {
                    let mut scope = reader.bytes().map(|inner| reader.within(inner))?;
                    while !scope.done() {
                        match scope.tag()? {
                            0x0a => name = scope.bytes()?,
                            0x12 => version = scope.bytes()?,
                            0x1a => push_pair(buf, scope.bytes()?, &mut self.attributes, repair)?,
                            0x20 => self.dropped = scope.varint()? as u32,
                            tag => scope.skip(tag)?,
                        }
                    }
                }
                0x1a => schema_url = reader.bytes()?,
                tag => reader.skip(tag)?,
            }
        }
        keep(buf, name, &mut self.name, repair);
        keep(buf, version, &mut self.version, repair);
        if urls {
            keep(buf, schema_url, &mut self.schema_url, repair);
        }
        Ok(reader)
    }

    /// Most column bytes that one row of this scope takes.
    pub fn width(&self) -> usize {
        self.attributes.width() + self.name.len() + self.version.len() + self.schema_url.len()
    }
}
