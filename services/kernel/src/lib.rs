//! OTLP export requests into finished ClickHouse Native blocks.
//!
//! The way of a payload: `wire` reads protobuf in place, `work` walks it down to records,
//! `traces`, `logs` and `metrics` append a record's fields to the columns of a `table`, whose
//! plan `layout` made from the server's INSERT header; `frame` compresses the finished body.
//! Nothing is allocated per record once the buffers have grown.

mod any;
mod buffer;
mod builder;
mod check;
mod city;
mod column;
mod content;
mod context;
mod dict;
mod float;
mod frame;
mod guard;
mod guard_rule;
mod guard_steps;
mod ids;
mod json;
mod layout;
mod logs;
mod low;
mod map;
mod metric;
mod metrics;
mod number;
mod pairs;
mod points;
mod redact;
#[cfg(feature = "python")]
mod rules;
mod runs;
mod signal;
mod sip;
mod spec;
mod table;
mod text;
mod tiers;
mod traces;
mod types;
mod wire;
mod work;

#[cfg(any(test, feature = "harness"))]
pub mod harness;

#[cfg(feature = "python")]
mod python;

pub use builder::{Appended, Builder, Header, Target};
pub use city::{city_hash_128, city_hash_64};
pub use content::Names;
pub use guard::Guard;
pub use guard_rule::{Action, Place, Rule};
pub use layout::LayoutError;
pub use signal::Signal;
pub use sip::sip_hash_128;
pub use spec::Spec;
pub use table::Block;
pub use tiers::Tiers;
pub use wire::Reject;
pub use work::{Limits, Treatment, LIMITS};
