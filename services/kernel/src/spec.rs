//! The fields of each table: what a column name means, and what kind of value it takes.
//!
//! Names are those of the OpenTelemetry Collector's ClickHouse exporter 0.161. A field's number
//! is its place in the table's list; decoders address columns by these numbers.

/// What a field holds, which decides the types that it can fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Time,
    TraceId,
    SpanId,
    Text,
    Integer,
    Flag,
    Double,
    Attributes,
    Integers,
    Doubles,
}

/// One field. `group` is the Nested group whose array it is an element of.
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub group: Option<usize>,
}

/// Fields whose value is the same in all rows of one resource, scope and metric. Their columns
/// hold one value for each run of such rows.
const SHARED: [&str; 14] = [
    "ServiceName",
    "Tenant",
    "ResourceAttributes",
    "ResourceSchemaUrl",
    "ScopeName",
    "ScopeVersion",
    "ScopeAttributes",
    "ScopeDroppedAttrCount",
    "ScopeSchemaUrl",
    "MetricName",
    "MetricDescription",
    "MetricUnit",
    "AggregationTemporality",
    "IsMonotonic",
];

impl Field {
    pub fn shared(&self) -> bool {
        SHARED.contains(&self.name)
    }
}

/// One table of a signal.
pub struct Spec {
    pub name: &'static str,
    pub fields: &'static [Field],
    /// The column of contents, and the fields of attributes out of which they are taken.
    pub content: Option<(usize, &'static [usize])>,
}

/// Most fields that a table has.
pub const MAX_FIELDS: usize = 32;
/// Most Nested groups that a table has.
pub const MAX_GROUPS: usize = 2;

/// The column that every table has: the block's identity.
pub const INGEST_ID: &str = "IngestId";

macro_rules! fields {
    ($($name:literal $kind:ident $($group:literal)?),* $(,)?) => {
        &[$(Field { name: $name, kind: Kind::$kind, group: fields!(@ $($group)?) }),*]
    };
    (@) => { None };
    (@ $group:literal) => { Some($group) };
}

/// Numbers of the fields of `otel_traces`.
pub mod traces {
    pub const TIMESTAMP: usize = 0;
    pub const TRACE_ID: usize = 1;
    pub const SPAN_ID: usize = 2;
    pub const PARENT_SPAN_ID: usize = 3;
    pub const TRACE_STATE: usize = 4;
    pub const SPAN_NAME: usize = 5;
    pub const SPAN_KIND: usize = 6;
    pub const SERVICE_NAME: usize = 7;
    pub const RESOURCE_ATTRIBUTES: usize = 8;
    pub const SCOPE_NAME: usize = 9;
    pub const SCOPE_VERSION: usize = 10;
    pub const SPAN_ATTRIBUTES: usize = 11;
    pub const DURATION: usize = 12;
    pub const STATUS_CODE: usize = 13;
    pub const STATUS_MESSAGE: usize = 14;
    pub const EVENT_TIMESTAMP: usize = 15;
    pub const EVENT_NAME: usize = 16;
    pub const EVENT_ATTRIBUTES: usize = 17;
    pub const LINK_TRACE_ID: usize = 18;
    pub const LINK_SPAN_ID: usize = 19;
    pub const LINK_TRACE_STATE: usize = 20;
    pub const LINK_ATTRIBUTES: usize = 21;
    pub const TENANT: usize = 22;
    pub const CONTENT_ATTRIBUTES: usize = 23;
    pub const EVENTS: usize = 0;
    pub const LINKS: usize = 1;
}

pub static TRACES: Spec = Spec {
    name: "otel_traces",
    content: Some((
        traces::CONTENT_ATTRIBUTES,
        &[traces::SPAN_ATTRIBUTES, traces::EVENT_ATTRIBUTES],
    )),
    fields: fields![
        "Timestamp" Time,
        "TraceId" TraceId,
        "SpanId" SpanId,
        "ParentSpanId" SpanId,
        "TraceState" Text,
        "SpanName" Text,
        "SpanKind" Text,
        "ServiceName" Text,
        "ResourceAttributes" Attributes,
        "ScopeName" Text,
        "ScopeVersion" Text,
        "SpanAttributes" Attributes,
        "Duration" Integer,
        "StatusCode" Text,
        "StatusMessage" Text,
        "Events.Timestamp" Time 0,
        "Events.Name" Text 0,
        "Events.Attributes" Attributes 0,
        "Links.TraceId" TraceId 1,
        "Links.SpanId" SpanId 1,
        "Links.TraceState" Text 1,
        "Links.Attributes" Attributes 1,
        "Tenant" Text,
        "ContentAttributes" Attributes,
    ],
};

/// Numbers of the fields of `otel_logs`.
pub mod logs {
    pub const TIMESTAMP: usize = 0;
    pub const TRACE_ID: usize = 1;
    pub const SPAN_ID: usize = 2;
    pub const TRACE_FLAGS: usize = 3;
    pub const SEVERITY_TEXT: usize = 4;
    pub const SEVERITY_NUMBER: usize = 5;
    pub const SERVICE_NAME: usize = 6;
    pub const BODY: usize = 7;
    pub const RESOURCE_SCHEMA_URL: usize = 8;
    pub const RESOURCE_ATTRIBUTES: usize = 9;
    pub const SCOPE_SCHEMA_URL: usize = 10;
    pub const SCOPE_NAME: usize = 11;
    pub const SCOPE_VERSION: usize = 12;
    pub const SCOPE_ATTRIBUTES: usize = 13;
    pub const LOG_ATTRIBUTES: usize = 14;
    pub const EVENT_NAME: usize = 15;
    pub const TENANT: usize = 16;
    pub const CONTENT_ATTRIBUTES: usize = 17;
}

pub static LOGS: Spec = Spec {
    name: "otel_logs",
    content: Some((logs::CONTENT_ATTRIBUTES, &[logs::LOG_ATTRIBUTES])),
    fields: fields![
        "Timestamp" Time,
        "TraceId" TraceId,
        "SpanId" SpanId,
        "TraceFlags" Integer,
        "SeverityText" Text,
        "SeverityNumber" Integer,
        "ServiceName" Text,
        "Body" Text,
        "ResourceSchemaUrl" Text,
        "ResourceAttributes" Attributes,
        "ScopeSchemaUrl" Text,
        "ScopeName" Text,
        "ScopeVersion" Text,
        "ScopeAttributes" Attributes,
        "LogAttributes" Attributes,
        "EventName" Text,
        "Tenant" Text,
        "ContentAttributes" Attributes,
    ],
};

/// Numbers of the fields that all metric tables begin with, and of the exemplars, which all but
/// summaries have behind them.
pub mod metrics {
    pub const RESOURCE_ATTRIBUTES: usize = 0;
    pub const RESOURCE_SCHEMA_URL: usize = 1;
    pub const SCOPE_NAME: usize = 2;
    pub const SCOPE_VERSION: usize = 3;
    pub const SCOPE_ATTRIBUTES: usize = 4;
    pub const SCOPE_DROPPED: usize = 5;
    pub const SCOPE_SCHEMA_URL: usize = 6;
    pub const SERVICE_NAME: usize = 7;
    pub const METRIC_NAME: usize = 8;
    pub const METRIC_DESCRIPTION: usize = 9;
    pub const METRIC_UNIT: usize = 10;
    pub const ATTRIBUTES: usize = 11;
    pub const START_TIME: usize = 12;
    pub const TIME: usize = 13;
    pub const FLAGS: usize = 14;
    pub const TENANT: usize = 15;

    pub const EXEMPLARS: usize = 0;
    pub const EXEMPLAR_ATTRIBUTES: usize = 16;
    pub const EXEMPLAR_TIME: usize = 17;
    pub const EXEMPLAR_VALUE: usize = 18;
    pub const EXEMPLAR_SPAN_ID: usize = 19;
    pub const EXEMPLAR_TRACE_ID: usize = 20;

    /// Gauge and sum.
    pub const VALUE: usize = 21;
    pub const SUM_TEMPORALITY: usize = 22;
    pub const IS_MONOTONIC: usize = 23;

    /// Both kinds of histogram.
    pub const COUNT: usize = 21;
    pub const SUM: usize = 22;
    pub const MIN: usize = 23;
    pub const MAX: usize = 24;
    pub const TEMPORALITY: usize = 25;
    pub const BUCKET_COUNTS: usize = 26;
    pub const EXPLICIT_BOUNDS: usize = 27;
    pub const SCALE: usize = 26;
    pub const ZERO_COUNT: usize = 27;
    pub const POSITIVE_OFFSET: usize = 28;
    pub const POSITIVE_COUNTS: usize = 29;
    pub const NEGATIVE_OFFSET: usize = 30;
    pub const NEGATIVE_COUNTS: usize = 31;

    pub const QUANTILES: usize = 0;
    pub const SUMMARY_COUNT: usize = 16;
    pub const SUMMARY_SUM: usize = 17;
    pub const QUANTILE: usize = 18;
    pub const QUANTILE_VALUE: usize = 19;
}

macro_rules! metric_table {
    ($name:literal $($rest:tt)*) => {
        Spec {
            name: $name,
            content: None,
            fields: fields![
                "ResourceAttributes" Attributes,
                "ResourceSchemaUrl" Text,
                "ScopeName" Text,
                "ScopeVersion" Text,
                "ScopeAttributes" Attributes,
                "ScopeDroppedAttrCount" Integer,
                "ScopeSchemaUrl" Text,
                "ServiceName" Text,
                "MetricName" Text,
                "MetricDescription" Text,
                "MetricUnit" Text,
                "Attributes" Attributes,
                "StartTimeUnix" Time,
                "TimeUnix" Time,
                "Flags" Integer,
                "Tenant" Text,
                $($rest)*
            ],
        }
    };
}

macro_rules! exemplar_table {
    ($name:literal $($rest:tt)*) => {
        metric_table![$name
            "Exemplars.FilteredAttributes" Attributes 0,
            "Exemplars.TimeUnix" Time 0,
            "Exemplars.Value" Double 0,
            "Exemplars.SpanId" SpanId 0,
            "Exemplars.TraceId" TraceId 0,
            $($rest)*
        ]
    };
}

macro_rules! histogram_table {
    ($name:literal $($rest:tt)*) => {
        exemplar_table![$name
            "Count" Integer,
            "Sum" Double,
            "Min" Double,
            "Max" Double,
            "AggregationTemporality" Integer,
            $($rest)*
        ]
    };
}

pub static GAUGE: Spec = exemplar_table!["otel_metrics_gauge" "Value" Double];

pub static SUM: Spec = exemplar_table!["otel_metrics_sum"
    "Value" Double,
    "AggregationTemporality" Integer,
    "IsMonotonic" Flag,
];

pub static HISTOGRAM: Spec = histogram_table!["otel_metrics_histogram"
    "BucketCounts" Integers,
    "ExplicitBounds" Doubles,
];

pub static EXPONENTIAL_HISTOGRAM: Spec = histogram_table!["otel_metrics_exponential_histogram"
    "Scale" Integer,
    "ZeroCount" Integer,
    "PositiveOffset" Integer,
    "PositiveBucketCounts" Integers,
    "NegativeOffset" Integer,
    "NegativeBucketCounts" Integers,
];

pub static SUMMARY: Spec = metric_table!["otel_metrics_summary"
    "Count" Integer,
    "Sum" Double,
    "ValueAtQuantiles.Quantile" Double 0,
    "ValueAtQuantiles.Value" Double 0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;

    fn number(spec: &Spec, name: &str) -> usize {
        spec.fields.iter().position(|f| f.name == name).unwrap()
    }

    #[test]
    fn numbers_match_the_lists() {
        assert_eq!(number(&TRACES, "StatusMessage"), traces::STATUS_MESSAGE);
        assert_eq!(number(&TRACES, "Links.Attributes"), traces::LINK_ATTRIBUTES);
        assert_eq!(number(&TRACES, "Tenant"), traces::TENANT);
        assert_eq!(number(&LOGS, "Tenant"), logs::TENANT);
        for (spec, content) in [
            (&TRACES, traces::CONTENT_ATTRIBUTES),
            (&LOGS, logs::CONTENT_ATTRIBUTES),
        ] {
            assert_eq!(number(spec, "ContentAttributes"), content);
        }
        assert_eq!(number(&LOGS, "EventName"), logs::EVENT_NAME);
        assert_eq!(number(&LOGS, "Body"), logs::BODY);
        for spec in &Signal::Metrics.tables()[..4] {
            assert_eq!(number(spec, "Flags"), metrics::FLAGS);
            assert_eq!(number(spec, "Tenant"), metrics::TENANT);
            assert_eq!(
                number(spec, "Exemplars.TraceId"),
                metrics::EXEMPLAR_TRACE_ID
            );
        }
        assert_eq!(number(&GAUGE, "Value"), metrics::VALUE);
        assert_eq!(number(&SUM, "IsMonotonic"), metrics::IS_MONOTONIC);
        for spec in [&HISTOGRAM, &EXPONENTIAL_HISTOGRAM] {
            assert_eq!(number(spec, "AggregationTemporality"), metrics::TEMPORALITY);
        }
        assert_eq!(
            number(&HISTOGRAM, "ExplicitBounds"),
            metrics::EXPLICIT_BOUNDS
        );
        let last = number(&EXPONENTIAL_HISTOGRAM, "NegativeBucketCounts");
        assert_eq!(last, metrics::NEGATIVE_COUNTS);
        assert_eq!(
            number(&SUMMARY, "ValueAtQuantiles.Value"),
            metrics::QUANTILE_VALUE
        );
    }

    #[test]
    fn tables_fit_their_arrays() {
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            for spec in signal.tables() {
                assert!(spec.fields.len() <= MAX_FIELDS);
                assert!(spec
                    .fields
                    .iter()
                    .all(|f| f.group.is_none_or(|g| g < MAX_GROUPS)));
            }
        }
    }
}
