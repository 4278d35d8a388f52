//! A Metric message without its points: what its points share.

use crate::check::{self, Message};
use crate::json::push_repaired;
use crate::text::Repair;
use crate::wire::{Range, Reader, Result};

/// The kinds of metric, numbered as `Signal::tables` lists their tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl Data {
    fn message(self) -> &'static Message {
        match self {
            Data::Gauge | Data::Sum => &check::NUMBERS,
            Data::Histogram => &check::HISTOGRAM,
            Data::ExponentialHistogram => &check::EXPONENTIAL,
            Data::Summary => &check::SUMMARY,
        }
    }
}

/// The metric at hand. Strings are valid already.
#[derive(Default)]
pub struct Metric {
    pub generation: u64,
    pub name: Vec<u8>,
    pub description: Vec<u8>,
    pub unit: Vec<u8>,
    /// Which member of the oneof `data` is set, if any.
    pub data: Option<Data>,
    /// The pieces of that member: protobuf joins a message that comes several times.
    pub pieces: Vec<Range>,
    /// `ServiceName \0 MetricName \0`, the front of every point's series.
    pub series: Vec<u8>,
}

impl Metric {
    /// Reads everything but the data points.
    pub fn read(
        &mut self,
        buf: &[u8],
        mut reader: Reader<'_>,
        service: &[u8],
        repair: &mut Repair,
    ) -> Result<()> {
        self.generation += 1;
        self.data = None;
        self.pieces.clear();
        let (mut name, mut description, mut unit) = Default::default();
        while !reader.done() {
            match reader.tag()? {
                0x0a => name = reader.bytes()?,
                0x12 => description = reader.bytes()?,
                0x1a => unit = reader.bytes()?,
                0x2a => self.set(buf, Data::Gauge, reader.bytes()?)?,
                0x3a => self.set(buf, Data::Sum, reader.bytes()?)?,
                0x4a => self.set(buf, Data::Histogram, reader.bytes()?)?,
                0x52 => self.set(buf, Data::ExponentialHistogram, reader.bytes()?)?,
                0x5a => self.set(buf, Data::Summary, reader.bytes()?)?,
                0x62 => {
                    let metadata = reader.bytes()?;
                    check::check(&check::KEY_VALUE, reader.within(metadata), 0)?;
                }
                tag => reader.skip(tag)?,
            }
        }
        for (range, to) in [
            (name, &mut self.name),
            (description, &mut self.description),
            (unit, &mut self.unit),
        ] {
            to.clear();
            push_repaired(buf, range, to, repair);
        }
        self.series.clear();
        self.series.extend_from_slice(service);
        self.series.push(0);
        self.series.extend_from_slice(&self.name);
        self.series.push(0);
        Ok(())
    }

    fn set(&mut self, buf: &[u8], data: Data, piece: Range) -> Result<()> {
        if let Some(before) = self.data.filter(|&before| before != data) {
            // Replaced by another kind: not stored, but it must be well-formed.
            for &lost in &self.pieces {
                check::check(before.message(), Reader::new(buf, lost), 0)?;
            }
            self.pieces.clear();
        }
        self.data = Some(data);
        self.pieces.push(piece);
        Ok(())
    }

    /// Most column bytes that one point of this metric takes for it.
    pub fn width(&self) -> usize {
        self.name.len() + self.description.len() + self.unit.len()
    }
}
