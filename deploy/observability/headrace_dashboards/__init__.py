"""Grafana dashboards as code; `python -m headrace_dashboards NAME` prints one as JSON."""

from headrace_dashboards.cluster import CLUSTER_DASHBOARD
from headrace_dashboards.lag import LAG_DASHBOARD
from headrace_dashboards.loadgen import LOADGEN_DASHBOARD
from headrace_dashboards.panels import Dashboard

DASHBOARDS: dict[str, Dashboard] = {
    "lag": LAG_DASHBOARD,
    "cluster": CLUSTER_DASHBOARD,
    "loadgen": LOADGEN_DASHBOARD,
}
