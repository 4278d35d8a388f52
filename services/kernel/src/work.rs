//! What decoders share while they walk one payload: contexts, scratch lists and the budget.

use crate::any::scan_pair;
use crate::city::city_hash_64;
use crate::content::Names;
use crate::context::{Look, Resource, Scope};
use crate::guard::Guard;
use crate::guard_rule::Place;
use crate::ids::is_empty;
use crate::json::{push_object, push_text};
use crate::map::Attributes;
use crate::metric::Metric;
use crate::pairs::Pairs;
use crate::runs::Shared;
use crate::table::Table;
use crate::text::{hex16, push_hex, Repair};
use crate::wire::{Range, Reader, Reject, Result};

/// What one payload may cost.
#[derive(Clone, Copy)]
pub struct Limits {
    pub rows: usize,
    pub bytes: usize,
}

/// 500,000 rows and 256 MiB of column bytes: far above what a broker's message holds honestly,
/// since resource attributes repeat in every row.
pub const LIMITS: Limits = Limits {
    rows: 500_000,
    bytes: 256 << 20,
};

/// What is done to records besides decoding them.
#[derive(Default)]
pub struct Treatment {
    pub guard: Option<Guard>,
    /// The resource attribute that names the tenant; empty for none.
    pub tenant_attribute: Vec<u8>,
    /// Attributes that go to the column of contents, where a table has it.
    pub content: Names,
}

/// Column bytes per wire byte, at most: two wire bytes can be an exemplar, whose five columns
/// and offsets take under 32; JSON escapes take six times their character.
const EXPANSION: usize = 16;
/// Column bytes of a row that holds nothing.
const ROW: usize = 512;

/// Stops a payload before it costs more than its limits. Adding up all columns for each row
/// would be slow, so an upper estimate is added up, and replaced by the truth when it is over.
pub struct Budget {
    pub limits: Limits,
    rows: usize,
    estimate: usize,
}

impl Budget {
    fn recount(&self, tables: &[Table], payload: u64, shared: usize) -> Result<usize> {
        let used: usize = tables.iter().map(|table| table.nbytes(payload).1).sum();
        if used + shared > self.limits.bytes {
            return Err(Reject::TooLarge {
                limit: self.limits.bytes,
            });
        }
        Ok(used)
    }
}

/// Lists that are reused from row to row.
#[derive(Default)]
pub struct Scratch {
    pub attributes: Vec<Range>,
    pub exemplars: Vec<Range>,
    pub events: Vec<Range>,
    pub links: Vec<Range>,
    pub inner: Vec<Range>,
    pub text: Vec<u8>,
    pub pairs: Pairs,
}

pub struct Work {
    pub resource: Resource,
    pub scope: Scope,
    pub metric: Metric,
    pub repair: Repair,
    pub scratch: Scratch,
    pub budget: Budget,
    /// Number of the payload at hand, from 1.
    pub payload: u64,
    pub shards: usize,
    pub guard: Option<Box<Guard>>,
    tenant_attribute: Vec<u8>,
    /// The tenant that the message at hand names outside of its payload; empty for none.
    pub tenant: Vec<u8>,
    /// Where scopes are looked for. Reading ahead only saves one pass over all records; a
    /// payload that needs more is decoded again, and those after it begin the slow way.
    pub look: Look,
    /// Whether the signal's tables show schema URLs, which stand behind the records.
    schema_urls: bool,
}

impl Work {
    pub fn new(shards: usize, limits: Limits, schema_urls: bool, treatment: Treatment) -> Work {
        Work {
            guard: treatment.guard.map(Box::new),
            tenant_attribute: treatment.tenant_attribute,
            tenant: Vec::new(),
            resource: Resource::default(),
            scope: Scope::default(),
            metric: Metric::default(),
            repair: Repair::default(),
            scratch: Scratch::default(),
            budget: Budget {
                limits,
                rows: 0,
                estimate: 0,
            },
            payload: 0,
            shards,
            look: Look::Ahead,
            schema_urls,
        }
    }

    /// Starts the next payload.
    pub fn begin(&mut self) {
        self.payload += 1;
        self.budget.rows = 0;
        self.budget.estimate = 0;
        if let Some(guard) = &mut self.guard {
            guard.mark();
        }
    }

    /// Column bytes that the payload at hand may have added to one table, at most.
    pub fn added(&self) -> usize {
        self.budget.estimate
    }

    /// Reads what the rows of a resource share.
    fn enter_resource(&mut self, buf: &[u8], range: Range) -> Result<()> {
        self.resource
            .read(buf, range, self.schema_urls, &mut self.repair)?;
        if let Some(guard) = &mut self.guard {
            self.resource.guard(guard);
        }
        self.resource
            .set_tenant(&self.tenant, &self.tenant_attribute);
        Ok(())
    }

    /// Lets one more row in, of `wire` bytes of its own and `shared` bytes of its contexts.
    #[inline(always)]
    pub fn admit(&mut self, tables: &[Table], wire: usize, shared: usize) -> Result<()> {
        let budget = &mut self.budget;
        budget.rows += 1;
        if budget.rows > budget.limits.rows {
            return Err(Reject::TooManyRecords {
                limit: budget.limits.rows,
            });
        }
        budget.estimate += ROW + shared + EXPANSION * wire;
        if budget.estimate > budget.limits.bytes {
            let used = budget.recount(tables, self.payload, shared)?;
            budget.estimate = used + ROW + shared + EXPANSION * wire;
        }
        Ok(())
    }

    /// What a row of the present context shares with its neighbours.
    #[inline(always)]
    pub fn shared(&self, metric: bool) -> Shared {
        Shared {
            resource: self.resource.generation,
            scope: self.scope.generation,
            metric: if metric { self.metric.generation } else { 0 },
        }
    }

    /// Rows admitted from the payload at hand.
    pub fn rows(&self) -> usize {
        self.budget.rows
    }

    /// Ends a payload: the last row may have been the one too much.
    pub fn end(&mut self, tables: &[Table]) -> Result<()> {
        if self.budget.estimate > self.budget.limits.bytes {
            self.budget.recount(tables, self.payload, 0)?;
        }
        Ok(())
    }

    /// The shard of a row by its trace; `time` spreads rows that have none.
    #[inline]
    pub fn shard_of_trace(&mut self, raw: &[u8], time: Option<u64>) -> usize {
        if self.shards == 1 {
            return 0;
        }
        let hash = match (raw.try_into(), time) {
            (Ok(id), _) if !is_empty(raw) => city_hash_64(&hex16(id)),
            (Err(_), _) if !raw.is_empty() => {
                let text = &mut self.scratch.text;
                text.clear();
                push_hex(raw, text);
                city_hash_64(text)
            }
            (_, Some(time)) => city_hash_64(&time.to_le_bytes()),
            (_, None) => city_hash_64(b""),
        };
        (hash % self.shards as u64) as usize
    }
}

/// Walks an export request down to its records: fields 1 (resources), 2 (scopes), 2 (records),
/// the same in all three signals. Contexts are read before the records they belong to,
/// wherever they stand.
#[inline(always)]
pub fn walk(
    buf: &[u8],
    work: &mut Work,
    tables: &mut [Table],
    mut record: impl FnMut(Reader<'_>, &mut Work, &mut [Table]) -> Result<()>,
) -> Result<()> {
    let mut request = Reader::new(buf, Range::all(buf));
    while !request.done() {
        let Some(resource) = next(&mut request, 0x0a)? else {
            continue;
        };
        work.enter_resource(buf, resource)?;
        let mut scopes = Reader::new(buf, resource);
        while !scopes.done() {
            let Some(scope) = next(&mut scopes, 0x12)? else {
                continue;
            };
            let look = work.look;
            let ahead = work
                .scope
                .read(buf, scope, look, work.schema_urls, &mut work.repair)?;
            if let Some(guard) = &mut work.guard {
                guard.pass_pairs(Place::Scope, &mut work.scope.attributes);
            }
            let mut records = match look {
                Look::Ahead => ahead,
                Look::Everywhere => Reader::new(buf, scope),
            };
            while !records.done() {
                match records.tag()? {
                    0x12 => {
                        let range = records.bytes()?;
                        record(records.within(range), work, tables)?;
                    }
                    0x0a if look == Look::Ahead => return Err(Reject::LateScope),
                    0x1a if look == Look::Ahead && work.schema_urls => {
                        return Err(Reject::LateScope);
                    }
                    tag => records.skip(tag)?,
                }
            }
        }
    }
    Ok(())
}

/// The next field, if it is the one with `wanted` tag.
#[inline(always)]
fn next(reader: &mut Reader<'_>, wanted: u32) -> Result<Option<Range>> {
    let tag = reader.tag()?;
    if tag == wanted {
        return reader.bytes().map(Some);
    }
    reader.skip(tag)?;
    Ok(None)
}

/// What the guardrails are to a list of attributes.
pub type Guarded<'a> = (&'a mut Option<Box<Guard>>, Place);

/// As `push_attributes`, after the guardrails.
#[inline(always)]
pub fn push_guarded(
    map: Option<&mut Attributes>,
    (guard, place): Guarded<'_>,
    buf: &[u8],
    pairs: &[Range],
    text: &mut Vec<u8>,
    repair: &mut Repair,
) -> Result<()> {
    match guard {
        None => push_attributes(map, buf, pairs, text, repair),
        Some(guard) => push_passed(map, (guard, place), buf, pairs, text, repair),
    }
}

// Apart from the way without rules, which costs one comparison.
#[inline(never)]
fn push_passed(
    map: Option<&mut Attributes>,
    (guard, place): (&mut Guard, Place),
    buf: &[u8],
    pairs: &[Range],
    text: &mut Vec<u8>,
    repair: &mut Repair,
) -> Result<()> {
    if guard.pass(place, buf, pairs, repair)? {
        let (buf, pairs) = guard.changed();
        return push_attributes(map, buf, pairs, text, repair);
    }
    push_attributes(map, buf, pairs, text, repair)
}

/// Appends KeyValue messages as one row of an attribute column. Without the column they are
/// still checked, so that no layout hides a malformed message.
#[inline(always)]
fn push_attributes(
    map: Option<&mut Attributes>,
    buf: &[u8],
    pairs: &[Range],
    text: &mut Vec<u8>,
    repair: &mut Repair,
) -> Result<()> {
    let Some(map) = map else {
        return check_attributes(buf, pairs, text);
    };
    if let Some(json) = &mut map.json {
        text.clear();
        push_object(buf, pairs, text, repair)?;
        json.push_valid(text);
        return Ok(());
    }
    map.push_wire(buf, pairs, text, repair)
}

#[cold]
fn check_attributes(buf: &[u8], pairs: &[Range], text: &mut Vec<u8>) -> Result<()> {
    for &pair in pairs {
        text.clear();
        push_text(buf, &scan_pair(buf, pair)?.1, text, &mut Repair::default())?;
    }
    Ok(())
}
