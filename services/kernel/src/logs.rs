//! Log records into `otel_logs` (opentelemetry-proto logs/v1).

use crate::any::{Any, Kind};
use crate::content;
use crate::guard::Guard;
use crate::guard_rule::Place;
use crate::json::push_text;
use crate::runs::Level;
use crate::spec::logs::*;
use crate::table::Table;
use crate::text::Repair;
use crate::wire::{Range, Reader, Result};
use crate::work::{push_guarded, walk, Scratch, Work};

/// The fields of a LogRecord but its attributes.
#[derive(Default)]
struct Record {
    time: u64,
    observed: u64,
    severity: u8,
    severity_text: Range,
    body: Any,
    flags: u32,
    trace_id: Range,
    span_id: Range,
    event_name: Range,
}

/// Decodes one ExportLogsServiceRequest. On an error the caller rolls back.
pub fn decode(buf: &[u8], work: &mut Work, tables: &mut [Table]) -> Result<()> {
    walk(buf, work, tables, |reader, work, tables| {
        append(buf, reader, work, tables)
    })
}

#[inline(always)]
fn scan(buf: &[u8], mut reader: Reader<'_>, attributes: &mut Vec<Range>) -> Result<Record> {
    let mut record = Record::default();
    attributes.clear();
    while !reader.done() {
        match reader.tag()? {
            0x09 => record.time = reader.fixed64()?,
            // The exporter keeps eight bits; the numbers defined are 0 to 24.
            0x10 => record.severity = reader.varint()? as u8,
            0x1a => record.severity_text = reader.bytes()?,
            0x2a => {
                let inner = reader.bytes()?;
                record.body.scan(buf, reader.within(inner), 1)?;
            }
            0x32 => attributes.push(reader.bytes()?),
            0x45 => record.flags = reader.fixed32()?,
            0x4a => record.trace_id = reader.bytes()?,
            0x52 => record.span_id = reader.bytes()?,
            0x59 => record.observed = reader.fixed64()?,
            0x62 => record.event_name = reader.bytes()?,
            tag => reader.skip(tag)?,
        }
    }
    Ok(record)
}

fn append(buf: &[u8], reader: Reader<'_>, work: &mut Work, tables: &mut [Table]) -> Result<()> {
    let width = work.resource.width() + work.scope.width();
    work.admit(tables, reader.left(), width)?;
    let record = scan(buf, reader, &mut work.scratch.attributes)?;
    let time = if record.time == 0 {
        record.observed
    } else {
        record.time
    };
    let trace_id = record.trace_id.of(buf);
    let shard = work.shard_of_trace(trace_id, Some(time));
    let table = &mut tables[shard];
    table.touch(work.payload);
    push_shared(table, work);

    table.push_time(TIMESTAMP, time);
    table.push_id(TRACE_ID, trace_id);
    table.push_id(SPAN_ID, record.span_id.of(buf));
    // The eight trace flags of W3C trace context; the other bits are reserved.
    table.push_unsigned(TRACE_FLAGS, u64::from(record.flags & 0xff));
    table.push_unsigned(SEVERITY_NUMBER, u64::from(record.severity));
    for (field, range) in [
        (SEVERITY_TEXT, record.severity_text),
        (EVENT_NAME, record.event_name),
    ] {
        if let Some(text) = table.text(field) {
            text.push_like_last(buf, range, &mut work.repair);
        }
    }
    let Work {
        scratch,
        repair,
        guard,
        ..
    } = work;
    let Scratch {
        attributes, text, ..
    } = scratch;
    let event_name = record.event_name.of(buf);
    let apart = !event_name.is_empty()
        && table
            .attributes(LOG_ATTRIBUTES)
            .is_some_and(|map| map.keeps_body_apart(event_name));
    if apart {
        push_content_body(buf, table, &record.body, guard, repair)?;
    } else {
        match guard {
            Some(guard) if guard.reads(Place::Body) => {
                push_guarded_body(buf, table, &record.body, guard, repair)?;
            }
            _ => push_body(buf, table, &record.body, text, repair)?,
        }
    }
    push_guarded(
        table.attributes(LOG_ATTRIBUTES),
        (guard, Place::Log),
        buf,
        attributes,
        text,
        repair,
    )?;
    table.push_content([LOG_ATTRIBUTES]);
    table.end_row(time);
    Ok(())
}

#[inline(always)]
fn push_body(
    buf: &[u8],
    table: &mut Table,
    body: &Any,
    text: &mut Vec<u8>,
    repair: &mut Repair,
) -> Result<()> {
    if body.kind == Kind::Str {
        if let Some(column) = table.text(BODY) {
            column.push(buf, body.range, repair);
        }
    } else {
        text.clear();
        push_text(buf, body, text, repair)?;
        if let Some(column) = table.text(BODY) {
            column.push_valid(text);
        }
    }
    Ok(())
}

fn push_guarded_body(
    buf: &[u8],
    table: &mut Table,
    body: &Any,
    guard: &mut Guard,
    repair: &mut Repair,
) -> Result<()> {
    let mut text = Vec::new();
    push_text(buf, body, &mut text, repair)?;
    let stored = guard.pass_text(Place::Body, &text).unwrap_or(&text);
    if let Some(column) = table.text(BODY) {
        column.push_valid(stored);
    }
    Ok(())
}

/// A body that is content: its column stays empty.
#[inline(never)]
fn push_content_body(
    buf: &[u8],
    table: &mut Table,
    body: &Any,
    guard: &mut Option<Box<Guard>>,
    repair: &mut Repair,
) -> Result<()> {
    let mut text = Vec::new();
    push_text(buf, body, &mut text, repair)?;
    if let Some(guard) = guard {
        if let Some(other) = guard.pass_text(Place::Body, &text) {
            text = other.to_vec();
        }
    }
    if let Some(map) = table.attributes(LOG_ATTRIBUTES) {
        if !text.is_empty() {
            map.put_aside(content::BODY, &text);
        }
    }
    if let Some(column) = table.text(BODY) {
        column.push_valid(b"");
    }
    Ok(())
}

/// Appends what the row shares with its neighbours.
#[inline(always)]
fn push_shared(table: &mut Table, work: &Work) {
    let now = work.shared(false);
    if table.continue_run(now) {
        return;
    }
    let Work {
        resource, scope, ..
    } = work;
    table.start_run(
        now,
        &[
            (SERVICE_NAME, Level::Resource, &resource.service),
            (TENANT, Level::Resource, &resource.tenant),
            (RESOURCE_SCHEMA_URL, Level::Resource, &resource.schema_url),
            (SCOPE_SCHEMA_URL, Level::Scope, &scope.schema_url),
            (SCOPE_NAME, Level::Scope, &scope.name),
            (SCOPE_VERSION, Level::Scope, &scope.version),
        ],
        &[
            (RESOURCE_ATTRIBUTES, Level::Resource, &resource.attributes),
            (SCOPE_ATTRIBUTES, Level::Scope, &scope.attributes),
        ],
    );
}
