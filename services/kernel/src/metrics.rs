//! Metric points into the five `otel_metrics_*` tables (opentelemetry-proto metrics/v1).

use crate::any::{scan_pair, simple_pair, Kind};
use crate::city::city_hash_64;
use crate::guard::Guard;
use crate::guard_rule::Place;
use crate::json::{push_repaired, push_text};
use crate::metric::Data;
use crate::number::Run;
use crate::pairs::{Pairs, SLACK};
use crate::points::{scan_exponential, scan_histogram, scan_number, scan_summary, Point};
use crate::runs::Level;
use crate::spec::metrics::*;
use crate::table::Table;
use crate::text::Repair;
use crate::wire::{Range, Reader, Result};
use crate::work::{push_guarded, walk, Scratch, Work};

/// Decodes one ExportMetricsServiceRequest. On an error the caller rolls back.
pub fn decode(buf: &[u8], work: &mut Work, tables: &mut [Table]) -> Result<()> {
    walk(buf, work, tables, |reader, work, tables| {
        work.metric.read(
            buf,
            reader,
            work.resource.routing_service(),
            &mut work.repair,
        )?;
        let Some(data) = work.metric.data else {
            return Ok(()); // a metric without data has no points
        };
        let (mut temporality, mut monotonic) = (0, false);
        for i in 0..work.metric.pieces.len() {
            let mut reader = Reader::new(buf, work.metric.pieces[i]);
            while !reader.done() {
                match reader.tag()? {
                    0x0a => {
                        let point = reader.bytes()?;
                        append(buf, reader.within(point), data, work, tables)?;
                    }
                    0x10 => temporality = reader.varint()? as i32,
                    0x18 => monotonic = reader.varint()? != 0,
                    tag => reader.skip(tag)?,
                }
            }
        }
        end_metric(data, temporality, monotonic, work, tables);
        Ok(())
    })
}

/// Appends what stands behind a metric's points. Its rows are one run on each shard they fell
/// on, so one value for each run is enough.
fn end_metric(data: Data, temporality: i32, monotonic: bool, work: &Work, tables: &mut [Table]) {
    let first = data as usize * work.shards;
    for table in &mut tables[first..first + work.shards] {
        if !table.is_at(work.metric.generation) {
            continue;
        }
        match data {
            Data::Sum => {
                table.push_signed(SUM_TEMPORALITY, temporality.into());
                table.push_unsigned(IS_MONOTONIC, monotonic.into());
            }
            Data::Histogram | Data::ExponentialHistogram => {
                table.push_signed(TEMPORALITY, temporality.into());
            }
            Data::Gauge | Data::Summary => {}
        }
    }
}

fn append(
    buf: &[u8],
    reader: Reader<'_>,
    data: Data,
    work: &mut Work,
    tables: &mut [Table],
) -> Result<()> {
    let width = work.resource.width() + work.scope.width() + work.metric.width();
    work.admit(tables, reader.left(), width)?;
    let point = match data {
        Data::Gauge | Data::Sum => scan_number(reader, &mut work.scratch)?,
        Data::Histogram => scan_histogram(reader, &mut work.scratch)?,
        Data::ExponentialHistogram => scan_exponential(reader, &mut work.scratch)?,
        Data::Summary => scan_summary(reader, &mut work.scratch)?,
    };
    let shard = read_series(buf, work)?;
    let table = &mut tables[data as usize * work.shards + shard];
    table.touch(work.payload);
    push_shared(table, work);
    table.push_time(START_TIME, point.start);
    table.push_time(TIME, point.time);
    table.push_unsigned(FLAGS, u64::from(point.flags));
    let Work {
        scratch,
        repair,
        guard,
        ..
    } = work;
    if let Some(guard) = guard {
        guard.pass_pairs(Place::Point, &mut scratch.pairs);
    }
    if let Some(map) = table.attributes(ATTRIBUTES) {
        map.push_pairs(&scratch.pairs);
    }
    match data {
        Data::Summary => push_quantiles(buf, table, scratch)?,
        _ => push_exemplars(buf, table, scratch, repair, guard)?,
    }
    push_values(buf, table, data, &point, scratch)?;
    table.end_row(point.time);
    Ok(())
}

/// Appends what a point of this kind has of its own.
#[inline(always)]
fn push_values(
    buf: &[u8],
    table: &mut Table,
    data: Data,
    point: &Point,
    scratch: &Scratch,
) -> Result<()> {
    match data {
        Data::Gauge | Data::Sum => table.push_double(VALUE, point.value),
        Data::Histogram => {
            push_statistics(table, point);
            push_runs(buf, table, BUCKET_COUNTS, &scratch.events, Run::Fixed64)?;
            push_runs(buf, table, EXPLICIT_BOUNDS, &scratch.links, Run::Double)?;
        }
        Data::ExponentialHistogram => {
            push_statistics(table, point);
            table.push_signed(SCALE, point.scale.into());
            table.push_unsigned(ZERO_COUNT, point.zero_count);
            table.push_signed(POSITIVE_OFFSET, point.positive_offset.into());
            push_runs(buf, table, POSITIVE_COUNTS, &scratch.events, Run::Varint)?;
            table.push_signed(NEGATIVE_OFFSET, point.negative_offset.into());
            push_runs(buf, table, NEGATIVE_COUNTS, &scratch.links, Run::Varint)?;
        }
        Data::Summary => {
            table.push_unsigned(SUMMARY_COUNT, point.count);
            table.push_double(SUMMARY_SUM, point.sum);
        }
    }
    Ok(())
}

/// Reads the point's attributes into `scratch.pairs`, and gives the shard of its series:
/// `service \0 metric \0 (key \1 value \2)*`, hashed.
#[inline(always)]
fn read_series(buf: &[u8], work: &mut Work) -> Result<usize> {
    let Work {
        scratch,
        repair,
        metric,
        ..
    } = work;
    let Scratch {
        attributes, pairs, ..
    } = scratch;
    pairs.clear();
    pairs.arena.extend_from_slice(&metric.series);
    for &range in attributes.iter() {
        push_series_pair(buf, range, pairs, repair)?;
    }
    let shards = work.shards as u64;
    let shard = match shards {
        1 => 0,
        _ => city_hash_64(&pairs.arena) % shards,
    };
    pairs.arena.extend_from_slice(&[0; SLACK]);
    Ok(shard as usize)
}

#[inline(always)]
fn push_series_pair(buf: &[u8], range: Range, row: &mut Pairs, repair: &mut Repair) -> Result<()> {
    let here = |arena: &Vec<u8>| arena.len() as u32;
    let start = here(&row.arena);
    let end;
    match simple_pair(buf, range) {
        Some((key, Kind::Str, _, value)) => {
            push_repaired(buf, key, &mut row.arena, repair);
            end = here(&row.arena);
            row.arena.push(1);
            push_repaired(buf, value, &mut row.arena, repair);
        }
        _ => {
            let (key, value) = scan_pair(buf, range)?;
            push_repaired(buf, key, &mut row.arena, repair);
            end = here(&row.arena);
            row.arena.push(1);
            push_text(buf, &value, &mut row.arena, repair)?;
        }
    }
    let value = Range {
        start: end + 1,
        end: here(&row.arena),
    };
    row.pairs.push((Range { start, end }, value));
    row.arena.push(2);
    Ok(())
}

fn push_statistics(table: &mut Table, point: &Point) {
    table.push_unsigned(COUNT, point.count);
    table.push_double(SUM, point.sum);
    table.push_double(MIN, point.min);
    table.push_double(MAX, point.max);
}

fn push_runs(buf: &[u8], table: &mut Table, field: usize, runs: &[Range], kind: Run) -> Result<()> {
    match table.arrays(field) {
        Some(arrays) => arrays.push(buf, runs, kind),
        None => Ok(()),
    }
}

fn push_quantiles(buf: &[u8], table: &mut Table, scratch: &Scratch) -> Result<()> {
    table.groups[QUANTILES].push(scratch.events.len());
    for &range in &scratch.events {
        let (mut quantile, mut value) = (0.0, 0.0);
        let mut reader = Reader::new(buf, range);
        while !reader.done() {
            match reader.tag()? {
                0x09 => quantile = reader.double()?,
                0x11 => value = reader.double()?,
                tag => reader.skip(tag)?,
            }
        }
        table.push_double(QUANTILE, quantile);
        table.push_double(QUANTILE_VALUE, value);
    }
    Ok(())
}

#[inline(always)]
fn push_exemplars(
    buf: &[u8],
    table: &mut Table,
    scratch: &mut Scratch,
    repair: &mut Repair,
    guard: &mut Option<Box<Guard>>,
) -> Result<()> {
    let Scratch {
        exemplars,
        inner,
        text,
        ..
    } = scratch;
    table.groups[EXEMPLARS].push(exemplars.len());
    for &range in exemplars.iter() {
        let (mut time, mut value) = (0, 0.0);
        let (mut span_id, mut trace_id) = (Range::default(), Range::default());
        inner.clear();
        let mut reader = Reader::new(buf, range);
        while !reader.done() {
            match reader.tag()? {
                0x11 => time = reader.fixed64()?,
                0x19 => value = reader.double()?,
                0x31 => value = reader.fixed64()? as i64 as f64,
                0x22 => span_id = reader.bytes()?,
                0x2a => trace_id = reader.bytes()?,
                0x3a => inner.push(reader.bytes()?),
                tag => reader.skip(tag)?,
            }
        }
        push_guarded(
            table.attributes(EXEMPLAR_ATTRIBUTES),
            (guard, Place::Exemplar),
            buf,
            inner,
            text,
            repair,
        )?;
        table.push_time(EXEMPLAR_TIME, time);
        table.push_double(EXEMPLAR_VALUE, value);
        table.push_id(EXEMPLAR_SPAN_ID, span_id.of(buf));
        table.push_id(EXEMPLAR_TRACE_ID, trace_id.of(buf));
    }
    Ok(())
}

/// Appends what the row shares with its neighbours.
#[inline(always)]
fn push_shared(table: &mut Table, work: &Work) {
    let now = work.shared(true);
    if table.continue_run(now) {
        return;
    }
    let Work {
        resource,
        scope,
        metric,
        ..
    } = work;
    table.push_unsigned(SCOPE_DROPPED, scope.dropped.into());
    table.start_run(
        now,
        &[
            (SERVICE_NAME, Level::Resource, &resource.service),
            (TENANT, Level::Resource, &resource.tenant),
            (RESOURCE_SCHEMA_URL, Level::Resource, &resource.schema_url),
            (SCOPE_NAME, Level::Scope, &scope.name),
            (SCOPE_VERSION, Level::Scope, &scope.version),
            (SCOPE_SCHEMA_URL, Level::Scope, &scope.schema_url),
            (METRIC_NAME, Level::Metric, &metric.name),
            (METRIC_DESCRIPTION, Level::Metric, &metric.description),
            (METRIC_UNIT, Level::Metric, &metric.unit),
        ],
        &[
            (RESOURCE_ATTRIBUTES, Level::Resource, &resource.attributes),
            (SCOPE_ATTRIBUTES, Level::Scope, &scope.attributes),
        ],
    );
}
