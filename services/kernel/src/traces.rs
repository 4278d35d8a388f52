//! Spans into `otel_traces` (opentelemetry-proto trace/v1).

use crate::column::Text;
use crate::guard::Guard;
use crate::guard_rule::Place;
use crate::json::push_repaired;
use crate::runs::Level;
use crate::spec::traces::*;
use crate::table::Table;
use crate::text::Repair;
use crate::wire::{Range, Reader, Result};
use crate::work::{push_guarded, walk, Scratch, Work};

/// Names by number, as pdata's `SpanKind.String` and `StatusCode.String`; beyond them, empty.
const KINDS: [&str; 7] = [
    "Unspecified",
    "Internal",
    "Server",
    "Client",
    "Producer",
    "Consumer",
    "",
];
const STATUSES: [&str; 4] = ["Unset", "Ok", "Error", ""];

/// The scalar fields of a Span.
#[derive(Default)]
struct Span {
    trace_id: Range,
    span_id: Range,
    trace_state: Range,
    parent_span_id: Range,
    name: Range,
    kind: u32,
    start: u64,
    end: u64,
    status_message: Range,
    status_code: u32,
}

/// Decodes one ExportTraceServiceRequest. On an error the caller rolls back.
pub fn decode(buf: &[u8], work: &mut Work, tables: &mut [Table]) -> Result<()> {
    walk(buf, work, tables, |reader, work, tables| {
        append(buf, reader, work, tables)
    })
}

#[inline(always)]
fn scan(mut reader: Reader<'_>, scratch: &mut Scratch) -> Result<Span> {
    let mut span = Span::default();
    scratch.attributes.clear();
    scratch.events.clear();
    scratch.links.clear();
    while !reader.done() {
        match reader.tag()? {
            0x0a => span.trace_id = reader.bytes()?,
            0x12 => span.span_id = reader.bytes()?,
            0x1a => span.trace_state = reader.bytes()?,
            0x22 => span.parent_span_id = reader.bytes()?,
            0x2a => span.name = reader.bytes()?,
            0x30 => span.kind = reader.varint()? as u32,
            0x39 => span.start = reader.fixed64()?,
            0x41 => span.end = reader.fixed64()?,
            0x4a => scratch.attributes.push(reader.bytes()?),
            0x5a => scratch.events.push(reader.bytes()?),
            0x6a => scratch.links.push(reader.bytes()?),
            0x7a => {
                let mut status = reader.bytes().map(|inner| reader.within(inner))?;
                while !status.done() {
                    match status.tag()? {
                        0x12 => span.status_message = status.bytes()?,
                        0x18 => span.status_code = status.varint()? as u32,
                        tag => status.skip(tag)?,
                    }
                }
            }
            tag => reader.skip(tag)?,
        }
    }
    Ok(span)
}

fn append(buf: &[u8], reader: Reader<'_>, work: &mut Work, tables: &mut [Table]) -> Result<()> {
    let width = work.resource.width() + work.scope.width();
    work.admit(tables, reader.left(), width)?;
    let span = scan(reader, &mut work.scratch)?;
    let trace_id = span.trace_id.of(buf);
    let shard = work.shard_of_trace(trace_id, None);
    let table = &mut tables[shard];
    table.touch(work.payload);
    push_shared(table, work);

    table.push_time(TIMESTAMP, span.start);
    table.push_id(TRACE_ID, trace_id);
    table.push_id(SPAN_ID, span.span_id.of(buf));
    table.push_id(PARENT_SPAN_ID, span.parent_span_id.of(buf));
    if let Some(text) = table.text(TRACE_STATE) {
        text.push_like_last(buf, span.trace_state, &mut work.repair);
    }
    for (field, place, range) in [
        (SPAN_NAME, Place::Name, span.name),
        (STATUS_MESSAGE, Place::Status, span.status_message),
    ] {
        match &mut work.guard {
            Some(guard) if guard.reads(place) => {
                push_guarded_text(
                    buf,
                    table.text(field),
                    range,
                    (guard, place),
                    &mut work.repair,
                );
            }
            _ => {
                if let Some(text) = table.text(field) {
                    text.push_like_last(buf, range, &mut work.repair);
                }
            }
        }
    }
    push_name(table, SPAN_KIND, &KINDS, span.kind);
    push_name(table, STATUS_CODE, &STATUSES, span.status_code);
    // An end before the start says nothing about how long the work took.
    table.push_unsigned(DURATION, span.end.saturating_sub(span.start));

    let Work {
        scratch,
        repair,
        guard,
        ..
    } = work;
    let Scratch {
        attributes, text, ..
    } = scratch;
    push_guarded(
        table.attributes(SPAN_ATTRIBUTES),
        (guard, Place::Span),
        buf,
        attributes,
        text,
        repair,
    )?;
    push_events(buf, table, scratch, repair, guard)?;
    push_links(buf, table, scratch, repair, guard)?;
    table.push_content([SPAN_ATTRIBUTES, EVENT_ATTRIBUTES]);
    table.end_row(span.start);
    Ok(())
}

/// Appends a text after the guardrails, which count also where the table lacks the column.
#[inline(never)]
fn push_guarded_text(
    buf: &[u8],
    column: Option<&mut Text>,
    range: Range,
    (guard, place): (&mut Guard, Place),
    repair: &mut Repair,
) {
    if guard.lets_text_pass(place, range.of(buf)) {
        if let Some(column) = column {
            column.push_like_last(buf, range, repair);
        }
        return;
    }
    let mut text = Vec::new();
    push_repaired(buf, range, &mut text, repair);
    let stored = guard.pass_text(place, &text).unwrap_or(&text);
    if let Some(column) = column {
        column.push_valid(stored);
    }
}

#[inline(always)]
fn push_name(table: &mut Table, field: usize, names: &[&str], number: u32) {
    if let Some(text) = table.text(field) {
        let number = (number as usize).min(names.len() - 1);
        text.push_known(number, names[number]);
    }
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
            (SCOPE_NAME, Level::Scope, &scope.name),
            (SCOPE_VERSION, Level::Scope, &scope.version),
        ],
        &[(RESOURCE_ATTRIBUTES, Level::Resource, &resource.attributes)],
    );
}

#[inline(always)]
fn push_events(
    buf: &[u8],
    table: &mut Table,
    scratch: &mut Scratch,
    repair: &mut Repair,
    guard: &mut Option<Box<Guard>>,
) -> Result<()> {
    let Scratch {
        events,
        inner,
        text,
        ..
    } = scratch;
    table.groups[EVENTS].push(events.len());
    for &range in events.iter() {
        let (mut time, mut name) = (0, Range::default());
        inner.clear();
        let mut event = Reader::new(buf, range);
        while !event.done() {
            match event.tag()? {
                0x09 => time = event.fixed64()?,
                0x12 => name = event.bytes()?,
                0x1a => inner.push(event.bytes()?),
                tag => event.skip(tag)?,
            }
        }
        table.push_time(EVENT_TIMESTAMP, time);
        if let Some(column) = table.text(EVENT_NAME) {
            column.push_like_last(buf, name, repair);
        }
        push_guarded(
            table.attributes(EVENT_ATTRIBUTES),
            (guard, Place::Event),
            buf,
            inner,
            text,
            repair,
        )?;
    }
    Ok(())
}

#[inline(always)]
fn push_links(
    buf: &[u8],
    table: &mut Table,
    scratch: &mut Scratch,
    repair: &mut Repair,
    guard: &mut Option<Box<Guard>>,
) -> Result<()> {
    let Scratch {
        links, inner, text, ..
    } = scratch;
    table.groups[LINKS].push(links.len());
    for &range in links.iter() {
        let (mut trace_id, mut span_id, mut state) = Default::default();
        inner.clear();
        let mut link = Reader::new(buf, range);
        while !link.done() {
            match link.tag()? {
                0x0a => trace_id = link.bytes()?,
                0x12 => span_id = link.bytes()?,
                0x1a => state = link.bytes()?,
                0x22 => inner.push(link.bytes()?),
                tag => link.skip(tag)?,
            }
        }
        table.push_id(LINK_TRACE_ID, Range::of(&trace_id, buf));
        table.push_id(LINK_SPAN_ID, Range::of(&span_id, buf));
        if let Some(column) = table.text(LINK_TRACE_STATE) {
            column.push(buf, state, repair);
        }
        push_guarded(
            table.attributes(LINK_ATTRIBUTES),
            (guard, Place::Link),
            buf,
            inner,
            text,
            repair,
        )?;
    }
    Ok(())
}
