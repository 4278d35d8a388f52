"""What the autoscaler of writers wants, what it got, and what it reads: a row of the lag dashboard.

From kube-state-metrics (the HorizontalPodAutoscaler) and KEDA's operator. A signal is the end of
the chart's names, `…-writer-traces`; KEDA calls its autoscaler `keda-hpa-…`. By signal alone,
because `namespace` is the scrape's own where it does not honour labels. Without Kubernetes the row
is empty but for what the writers and the rule say.
"""

from headrace_dashboards.panels import Panel, Query, Row
from headrace_dashboards.shared import rate

NAMES = ".*-writer-(traces|metrics|logs)"
LIMITED = ',condition="ScalingLimited",status="true"'


def of_writers(metric: str, label: str, more: str = "") -> str:
    """The series of a metric whose `label` is one of the writers' names."""
    return f'{metric}{{{label}=~"{NAMES}"{more}}}'


def by_signal(expr: str, label: str, legend: str, by: str = "") -> Query:
    """An expression over such series, for each signal."""
    named = f'label_replace({expr}, "signal", "$1", "{label}", "{NAMES}")'
    return Query(f"max by (signal{by}) ({named})", legend)


def hpa(metric: str, legend: str, more: str = "") -> Query:
    name, label = f"kube_horizontalpodautoscaler_{metric}", "horizontalpodautoscaler"
    return by_signal(of_writers(name, label, more), label, legend)


def keda(metric: str, legend: str, by: str = "") -> Query:
    return by_signal(of_writers(f"keda_{metric}", "scaledObject"), "scaledObject", legend, by)


ERRORS = of_writers("keda_scaler_detail_errors_total", "scaledObject")

AUTOSCALER = Row(
    "Autoscaler",
    (
        Panel(
            "Writers: desired, there, at work",
            "Desired and there are the HorizontalPodAutoscaler's, at work are those that hold "
            "partitions. There below desired: pods do not start. At work below there: they have "
            "not joined, or there are more writers than partitions.",
            "none",
            (
                hpa("status_desired_replicas", "{{signal}} desired"),
                hpa("status_current_replicas", "{{signal}} there"),
                Query(
                    "count by (signal) (headrace_writer_partitions_assigned > 0)",
                    "{{signal}} at work",
                ),
                hpa("spec_max_replicas", "{{signal}} at most"),
            ),
            width=12,
        ),
        Panel(
            "Rows per second, required against stored",
            "Required is what KEDA scales writers on (docs/autoscaling.md): by the rule, and as "
            "KEDA last read it. Above stored for long: more writers are needed than run.",
            "cps",
            (
                Query("headrace:writer_required_rows_per_second", "{{signal}} required"),
                keda("scaler_metrics_value", "{{signal}} read by KEDA, {{metric}}", ", metric"),
                rate("headrace_writer_rows_inserted_total", legend="{{signal}} stored"),
            ),
            width=12,
        ),
        Panel(
            "What the autoscaler may do",
            "1 or 0. Active: the trigger's value asks for writers. Paused: somebody said so, and "
            "nothing scales. Limited: it wants more or fewer writers than it may have.",
            "none",
            (
                keda("scaler_active", "{{signal}} active"),
                keda("scaled_object_paused", "{{signal}} paused"),
                hpa("status_condition", "{{signal}} limited", LIMITED),
            ),
            width=12,
        ),
        Panel(
            "Errors of the autoscaler's triggers",
            "KEDA could not read what it scales on. After three in a row the chart's fallback "
            "holds: as many writers as run, or its own number if that is higher.",
            "short",
            (
                by_signal(
                    f"increase({ERRORS}[$__rate_interval])",
                    "scaledObject", "{{signal}}, {{metric}}", ", metric",
                ),
            ),
            width=12, bad=1,
        ),
    ),
)  # fmt: skip
