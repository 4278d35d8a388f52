"""Queries and panels that several dashboards have."""

from headrace_dashboards.panels import Panel, Query

LATENCY = "headrace_writer_end_to_end_latency_seconds_bucket"
INSERT = "headrace_writer_insert_duration_seconds_bucket"
E2E = "headrace_writer_end_to_end_latency_seconds"


def quantile(share: float, metric: str, by: str, legend: str) -> Query:
    expr = f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}[$__rate_interval])))"
    return Query(expr, legend)


def rate(metric: str, by: str = "signal", legend: str = "{{signal}}") -> Query:
    return Query(f"sum by ({by}) (rate({metric}[$__rate_interval]))", legend)


CPU = Panel(
    "CPU of writers",
    "Of one core. A writer does not use more than about one and a half.",
    "percentunit",
    (
        Query(
            'sum by (instance) (rate(process_cpu_seconds_total{job="writer"}'
            "[$__rate_interval]))",
            "{{instance}}",
        ),
    ),
)  # fmt: skip

MEMORY = Panel(
    "Memory of writers",
    "Resident. Bounded by batch_max_bytes and backlog_max_bytes.",
    "bytes",
    (
        Query(
            'max by (instance) (process_resident_memory_bytes{job="writer"})',
            "{{instance}}",
        ),
    ),
)  # fmt: skip
