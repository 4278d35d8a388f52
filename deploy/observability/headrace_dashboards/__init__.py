"""Grafana dashboards as code; `python -m headrace_dashboards NAME` prints one as JSON."""
