//! Blocks of one signal, from payloads to finished bodies.

use crate::context::Look;
use crate::frame::Buffers;
use crate::layout::LayoutError;
use crate::signal::Signal;
use crate::spec::Spec;
use crate::table::{Block, Table};
use crate::wire::{Reject, Result};
use crate::work::{Limits, Treatment, Work, LIMITS};
use crate::{logs, metrics, traces};

/// A table's INSERT header: (column name, type name) in order.
pub type Header = Vec<(String, String)>;

/// Longest payload. Offsets have 32 bits, also into texts, which are at most ten times as long as
/// what they were rendered from.
const MAX_PAYLOAD: usize = 256 << 20;

pub struct Builder {
    signal: Signal,
    /// All shards of the signal's first table, then of the next.
    tables: Vec<Table>,
    work: Work,
    compressed: bool,
    rows: usize,
    buffers: Buffers,
    /// Bytes of the largest block when it was measured, and what may have come since.
    largest: (usize, usize),
    /// Bytes of a block's body besides its rows, at most.
    head: usize,
}

/// What became of a payload that was not rejected.
#[derive(Debug, PartialEq, Eq)]
pub enum Appended {
    Taken,
    /// A block would have become too large; it left no trace.
    Left,
}

/// Where a block belongs: a table's plain name, and a shard from 0.
pub type Target = (&'static str, usize);

impl Builder {
    /// A builder for tables with these headers, given by plain table name.
    pub fn new(
        signal: Signal,
        layouts: &[(String, Header)],
        shards: usize,
        compressed: bool,
    ) -> core::result::Result<Builder, LayoutError> {
        let treatment = Treatment::default();
        Builder::with(signal, layouts, shards, compressed, LIMITS, treatment)
    }

    /// As `new`, with other limits per payload, guardrails, a tenant's attribute and content.
    pub fn with(
        signal: Signal,
        layouts: &[(String, Header)],
        shards: usize,
        compressed: bool,
        limits: Limits,
        treatment: Treatment,
    ) -> core::result::Result<Builder, LayoutError> {
        let specs = signal.tables();
        check_names(specs, layouts)?;
        let mut tables = Vec::with_capacity(specs.len() * shards);
        for spec in specs {
            let header = layouts.iter().find(|(name, _)| name == spec.name);
            let Some((_, header)) = header else {
                return Err(LayoutError(format!(
                    "table {}: no layout given, and its rows would have no place",
                    spec.name
                )));
            };
            for _ in 0..shards {
                let mut table = Table::new(spec, header)?;
                table.keep_apart(&treatment.content);
                tables.push(table);
            }
        }
        let head = tables.iter().map(Table::head_bytes).max().unwrap_or(0);
        Ok(Builder {
            signal,
            tables,
            head,
            work: Work::new(shards, limits, signal != Signal::Traces, treatment),
            compressed,
            rows: 0,
            buffers: Buffers::default(),
            largest: (0, 0),
        })
    }

    /// As `append`, with the tenant that the message names (empty for none), unless a block's
    /// body would then be longer than `most` bytes, before compression.
    pub fn append_within(
        &mut self,
        payload: &[u8],
        tenant: &[u8],
        most: usize,
    ) -> Result<Appended> {
        self.work.tenant.clear();
        self.work.tenant.extend_from_slice(tenant);
        let most = most.saturating_sub(self.head);
        let replaced = self.work.repair.replaced;
        self.append(payload)?;
        self.largest.1 += self.work.added();
        if self.largest.0 + self.largest.1 > most {
            let sizes = self.tables.iter().map(Table::body_bytes);
            let largest = sizes.max().unwrap_or(0);
            if largest > most {
                self.rows -= self.work.rows();
                self.take_back();
                self.work.repair.replaced = replaced;
                // Measured again when the next one comes.
                self.largest = (0, most);
                return Ok(Appended::Left);
            }
            self.largest = (largest, 0);
        }
        Ok(Appended::Taken)
    }

    /// What each guardrail did since construction.
    pub fn rule_counts(&self) -> &[u64] {
        self.work.guard.as_ref().map_or(&[], |g| g.counts())
    }

    /// Removes what the payload at hand appended.
    fn take_back(&mut self) {
        for table in &mut self.tables {
            table.rollback(self.work.payload);
        }
        if let Some(guard) = &mut self.work.guard {
            guard.rollback();
        }
    }

    /// Decodes one serialized export request. A rejected one leaves no trace.
    pub fn append(&mut self, payload: &[u8]) -> Result<()> {
        let mut result = self.attempt(payload);
        if result == Err(Reject::LateScope) {
            self.work.look = Look::Everywhere;
            result = self.attempt(payload);
        }
        if result.is_ok() {
            self.rows += self.work.rows();
        }
        result
    }

    fn attempt(&mut self, payload: &[u8]) -> Result<()> {
        let replaced = self.work.repair.replaced;
        self.work.begin();
        let result = self.decode(payload);
        if result.is_err() {
            self.take_back();
            self.work.repair.replaced = replaced;
        }
        result
    }

    fn decode(&mut self, payload: &[u8]) -> Result<()> {
        if payload.len() > MAX_PAYLOAD {
            return Err(Reject::TooLarge { limit: MAX_PAYLOAD });
        }
        let (work, tables) = (&mut self.work, &mut self.tables);
        match self.signal {
            Signal::Traces => traces::decode(payload, work, tables),
            Signal::Logs => logs::decode(payload, work, tables),
            Signal::Metrics => metrics::decode(payload, work, tables),
        }?;
        work.end(tables)
    }

    /// Looks for scopes behind their records, too, until the next `finish`.
    #[cfg(any(test, feature = "harness"))]
    pub fn look_everywhere(&mut self) {
        self.work.look = Look::Everywhere;
    }

    /// Rows pending over all targets.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes held by the pending columns.
    pub fn nbytes(&self) -> usize {
        self.tables.iter().map(|table| table.nbytes(0).0).sum()
    }

    /// Strings repaired since construction.
    pub fn replaced_utf8(&self) -> u64 {
        self.work.repair.replaced
    }

    /// Targets with rows, and their row counts, ordered by (table, shard).
    pub fn pending(&self) -> Vec<(Target, usize)> {
        let mut pending: Vec<_> = self
            .tables
            .iter()
            .enumerate()
            .filter(|(_, table)| table.rows() > 0)
            .map(|(i, table)| ((table.spec.name, i % self.work.shards), table.rows()))
            .collect();
        pending.sort_unstable();
        pending
    }

    /// Closes all pending rows into blocks, ordered by target. `ids` are the IngestIds of
    /// `pending()`, in its order.
    pub fn finish(&mut self, ids: &[u64]) -> Vec<(Target, u64, Block)> {
        let shards = self.work.shards;
        let pending = self.pending();
        assert_eq!(pending.len(), ids.len(), "one IngestId for each target");
        self.rows = 0;
        self.largest = (0, 0);
        self.work.look = Look::Ahead;
        let mut blocks = Vec::with_capacity(pending.len());
        for ((target, _), &id) in pending.into_iter().zip(ids) {
            let found = self.tables.iter().step_by(shards);
            let number = found
                .take_while(|table| table.spec.name != target.0)
                .count();
            let table = &mut self.tables[number * shards + target.1];
            blocks.push((
                target,
                id,
                table.finish(id, self.compressed, &mut self.buffers),
            ));
        }
        blocks
    }
}

fn check_names(
    specs: &[&'static Spec],
    layouts: &[(String, Header)],
) -> core::result::Result<(), LayoutError> {
    for (name, _) in layouts {
        if !specs.iter().any(|spec| spec.name == name) {
            let known: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
            return Err(LayoutError(format!(
                "table {name}: this signal fills only {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "builder_tests.rs"]
mod tests;
