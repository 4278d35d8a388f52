//! The pending rows of one table on one shard.

use crate::buffer::{Offsets, Run};
use crate::column::Text;
use crate::frame::{Body, Buffers};
use crate::ids::Ids;
use crate::layout::{plan, Column, LayoutError, Shown, Source};
use crate::map::{Attributes, Part};
use crate::number::{Arrays, Numbers, MAX_TIME};
use crate::runs::{Level, Runs, Shared, SharedMap, SharedText};
use crate::spec::{Spec, MAX_FIELDS, MAX_GROUPS};

/// Rows, and the times between which they lie.
#[derive(Clone, Copy)]
struct Extent {
    rows: usize,
    min_time: u64,
    max_time: u64,
}

const EMPTY: Extent = Extent {
    rows: 0,
    min_time: u64::MAX,
    max_time: 0,
};

/// A finished block.
pub struct Block {
    pub rows: usize,
    pub body: Vec<u8>,
    pub raw_bytes: usize,
    pub min_time: u64,
    pub max_time: u64,
}

pub struct Table {
    pub spec: &'static Spec,
    // Fixed length, so that an access by a field's number needs no check at run time.
    columns: Box<[Column; MAX_FIELDS]>,
    pub groups: [Offsets; MAX_GROUPS],
    shown: Vec<Shown>,
    extent: Extent,
    mark: Extent,
    /// Whose values the last run shares.
    shared: Shared,
    runs: Runs,
    /// Numbers of the fields that hold one value per run, as bits.
    per_run: u32,
    /// The payload that touched this table last.
    touched: u64,
    /// Size of the next finished body.
    expected: usize,
}

impl Table {
    pub fn new(spec: &'static Spec, header: &[(String, String)]) -> Result<Table, LayoutError> {
        let (mut columns, shown) = plan(spec, header)?;
        columns.resize_with(MAX_FIELDS, || Column::Absent);
        let Ok(columns) = columns.into_boxed_slice().try_into() else {
            unreachable!("resized to MAX_FIELDS just above");
        };
        Ok(Table {
            spec,
            columns,
            groups: Default::default(),
            shown,
            extent: EMPTY,
            mark: EMPTY,
            shared: Shared::default(),
            runs: Runs::default(),
            per_run: bits(spec),
            touched: 0,
            expected: 0,
        })
    }

    pub fn rows(&self) -> usize {
        self.extent.rows
    }

    /// The text column of a field, if the table has it.
    #[inline(always)]
    pub fn text(&mut self, field: usize) -> Option<&mut Text> {
        match &mut self.columns[field] {
            Column::Text(text) => Some(text),
            _ => None,
        }
    }

    #[inline(always)]
    pub fn numbers(&mut self, field: usize) -> Option<&mut Numbers> {
        match &mut self.columns[field] {
            Column::Numbers(numbers) => Some(numbers),
            _ => None,
        }
    }

    #[inline(always)]
    pub fn attributes(&mut self, field: usize) -> Option<&mut Attributes> {
        match &mut self.columns[field] {
            Column::Attributes(map) => Some(map),
            _ => None,
        }
    }

    #[inline(always)]
    pub fn arrays(&mut self, field: usize) -> Option<&mut Arrays> {
        match &mut self.columns[field] {
            Column::Arrays(arrays) => Some(arrays),
            _ => None,
        }
    }

    #[inline(always)]
    pub fn push_id(&mut self, field: usize, raw: &[u8]) {
        if let Column::Ids(ids) = &mut self.columns[field] {
            ids.push(raw);
        }
    }

    #[inline(always)]
    pub fn push_time(&mut self, field: usize, time: u64) {
        if let Some(numbers) = self.numbers(field) {
            numbers.push_time(time);
        }
    }

    #[inline(always)]
    pub fn push_unsigned(&mut self, field: usize, value: u64) {
        if let Some(numbers) = self.numbers(field) {
            numbers.push_unsigned(value);
        }
    }

    #[inline(always)]
    pub fn push_signed(&mut self, field: usize, value: i64) {
        if let Some(numbers) = self.numbers(field) {
            numbers.push_signed(value);
        }
    }

    #[inline(always)]
    pub fn push_double(&mut self, field: usize, value: f64) {
        if let Some(numbers) = self.numbers(field) {
            numbers.push_double(value);
        }
    }

    /// Adds a row to the last run, if that has the same resource, scope and metric.
    #[inline(always)]
    pub fn continue_run(&mut self, now: Shared) -> bool {
        if self.shared != now {
            return false;
        }
        self.runs.extend();
        true
    }

    /// Whether the last run is of this metric.
    pub fn is_at(&self, metric: u64) -> bool {
        self.shared.metric == metric
    }

    /// Starts a run of rows that share these values; what comes from the same resource or scope
    /// as in the run before is copied from there.
    pub fn start_run(&mut self, now: Shared, texts: &[SharedText], maps: &[SharedMap]) {
        let before = core::mem::replace(&mut self.shared, now);
        let same = |level| match level {
            Level::Resource => before.resource == now.resource,
            Level::Scope => before.scope == now.scope,
            Level::Metric => before.metric == now.metric,
        };
        let mut width = 0;
        for &(field, level, s) in texts {
            if let Column::Text(text) = &mut self.columns[field] {
                if same(level) {
                    text.repeat();
                } else {
                    text.push_template(s);
                }
                width += text.template_width();
            }
        }
        for &(field, level, row) in maps {
            if let Column::Attributes(map) = &mut self.columns[field] {
                if same(level) {
                    map.repeat();
                } else {
                    map.push_template(row);
                }
                width += map.template_width();
            }
        }
        self.runs.start(width);
    }

    /// Ends a row whose columns are all appended.
    #[inline(always)]
    pub fn end_row(&mut self, time: u64) {
        let time = time.min(MAX_TIME);
        self.extent.rows += 1;
        self.extent.min_time = self.extent.min_time.min(time);
        self.extent.max_time = self.extent.max_time.max(time);
    }

    /// Marks the present rows when payload number `payload` touches the table first.
    #[inline(always)]
    pub fn touch(&mut self, payload: u64) {
        if self.touched != payload {
            self.touched = payload;
            self.set_mark();
        }
    }

    #[inline(never)]
    fn set_mark(&mut self) {
        self.pad_content();
        self.mark = self.extent;
        self.runs.mark();
        self.groups.iter_mut().for_each(Offsets::mark);
        for column in self.columns.iter_mut() {
            match column {
                Column::Text(text) => text.mark(),
                Column::Numbers(numbers) => numbers.mark(),
                Column::Ids(ids) => ids.mark(),
                Column::Attributes(map) => map.mark(),
                Column::Arrays(arrays) => arrays.mark(),
                Column::Absent => {}
            }
        }
    }

    /// Takes back what `payload` appended.
    pub fn rollback(&mut self, payload: u64) {
        if self.touched != payload {
            return;
        }
        self.extent = self.mark;
        self.shared = Shared::default();
        self.runs.rollback();
        self.groups.iter_mut().for_each(Offsets::rollback);
        for column in self.columns.iter_mut() {
            match column {
                Column::Text(text) => text.rollback(),
                Column::Numbers(numbers) => numbers.rollback(),
                Column::Ids(ids) => ids.rollback(),
                Column::Attributes(map) => map.rollback(),
                Column::Arrays(arrays) => arrays.rollback(),
                Column::Absent => {}
            }
        }
    }

    fn clear(&mut self) {
        self.extent = EMPTY;
        self.shared = Shared::default();
        self.runs.clear();
        self.touched = 0;
        self.groups.iter_mut().for_each(Offsets::clear);
        for column in self.columns.iter_mut() {
            match column {
                Column::Text(text) => text.clear(),
                Column::Numbers(numbers) => numbers.clear(),
                Column::Ids(ids) => ids.clear(),
                Column::Attributes(map) => map.clear(),
                Column::Arrays(arrays) => arrays.clear(),
                Column::Absent => {}
            }
        }
    }

    /// Closes the rows into a block, and starts empty again.
    pub fn finish(&mut self, ingest_id: u64, compressed: bool, buffers: &mut Buffers) -> Block {
        self.pad_content();
        let mut body = Body::new(buffers, compressed, self.expected);
        // BlockInfo: field 1 is_overflows = 0, field 2 bucket_num = -1, end.
        body.put(&[1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0]);
        body.put_varint(self.shown.len());
        body.put_varint(self.extent.rows);
        for shown in &self.shown {
            body.put_string(&shown.name);
            body.put_string(&shown.type_name);
            match shown.source {
                Source::IngestId => {
                    body.put_repeated(&ingest_id.to_le_bytes(), self.extent.rows);
                }
                Source::Field(field, group, part) => {
                    let column = &self.columns[field];
                    write_prefix(column, part, &mut body);
                    if let Some(group) = group {
                        self.groups[group].write(&mut body);
                    }
                    if self.per_run >> field & 1 == 1 {
                        write_runs(column, part, &self.runs.rows, &mut body);
                    } else {
                        write(column, part, &mut body);
                    }
                }
            }
        }
        let Extent {
            rows,
            min_time,
            max_time,
        } = self.extent;
        self.clear();
        let (body, raw_bytes) = body.finish();
        // The next block is likely to be of this size; an eighth more saves a move.
        self.expected = body.len() + body.len() / 8;
        Block {
            rows,
            body,
            raw_bytes,
            min_time,
            max_time,
        }
    }
}

fn write_prefix(column: &Column, part: Part, body: &mut Body<'_>) {
    match column {
        Column::Text(text) => text.write_prefix(body),
        Column::Ids(ids) => Ids::write_prefix(ids, body),
        Column::Attributes(map) => map.write_prefix(part, body),
        _ => {}
    }
}

fn write(column: &Column, part: Part, body: &mut Body<'_>) {
    match column {
        Column::Text(text) => text.write(body),
        Column::Numbers(numbers) => numbers.write(body),
        Column::Ids(ids) => ids.write(body),
        Column::Attributes(map) => map.write(part, body),
        Column::Arrays(arrays) => arrays.write(body),
        Column::Absent => {}
    }
}

fn write_runs(column: &Column, part: Part, rows: &[u32], body: &mut Body<'_>) {
    match column {
        Column::Text(text) => {
            let runs = rows.iter().map(|&rows| Run {
                values: 1,
                rows: rows as usize,
            });
            text.write_runs(runs, body);
        }
        Column::Numbers(numbers) => numbers.write_runs(rows, body),
        Column::Attributes(map) => map.write_runs(part, rows, body),
        Column::Ids(_) | Column::Arrays(_) | Column::Absent => {}
    }
}

/// The shared fields of a table, as bits.
fn bits(spec: &Spec) -> u32 {
    let shared = spec.fields.iter().enumerate().filter(|(_, f)| f.shared());
    shared.fold(0, |bits, (number, _)| bits | 1 << number)
}

#[path = "table_bytes.rs"]
mod bytes;
#[path = "table_content.rs"]
mod content;
