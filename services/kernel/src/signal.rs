//! The kinds of telemetry and the tables of each.

use crate::spec::{Spec, EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, LOGS, SUM, SUMMARY, TRACES};

/// A kind of telemetry; each has its own topic, tables and writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub fn named(name: &str) -> Option<Signal> {
        match name {
            "traces" => Some(Signal::Traces),
            "metrics" => Some(Signal::Metrics),
            "logs" => Some(Signal::Logs),
            _ => None,
        }
    }

    /// The signal's tables, in the order in which decoders number them.
    pub fn tables(self) -> &'static [&'static Spec] {
        static TABLES: [&Spec; 7] = [
            &TRACES,
            &LOGS,
            &GAUGE,
            &SUM,
            &HISTOGRAM,
            &EXPONENTIAL_HISTOGRAM,
            &SUMMARY,
        ];
        match self {
            Signal::Traces => &TABLES[..1],
            Signal::Logs => &TABLES[1..2],
            Signal::Metrics => &TABLES[2..],
        }
    }
}
