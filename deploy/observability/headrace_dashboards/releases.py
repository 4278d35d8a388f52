"""One Prometheus, several releases: the box `namespace`, and queries that ask for what it says."""

import re
from typing import Any

# What the pipeline exposes, and the records of our rules. Others' metrics (of an autoscaler, say)
# carry the namespace of whoever tells it, and are left alone.
OURS = re.compile(r"\b((?:headrace[_:]|otelcol_|haproxy_|process_)[\w:]+|ALERTS\b)(\{)?")
MATCHER = 'namespace=~"$namespace"'


def scoped(expr: str) -> str:
    """PromQL whose selectors of our metrics ask for the namespaces chosen above the dashboard."""
    return OURS.sub(lambda m: f"{m[1]}{{{MATCHER}{',' if m[2] else '}'}", expr)


def namespace_variable() -> dict[str, Any]:
    """All by default, also what has no such label (a cluster outside Kubernetes): `.*` matches
    nothing at all, too."""
    query = "label_values(headrace:release, namespace)"
    return {
        "name": "namespace",
        "label": "Namespace",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${prometheus}"},
        "definition": query,
        "query": {"query": query, "refId": "namespace"},
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "refresh": 2,
        "sort": 1,
    }
