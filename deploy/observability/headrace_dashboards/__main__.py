"""`python -m headrace_dashboards lag`: print a dashboard's JSON."""

import json
import sys

from headrace_dashboards import DASHBOARDS
from headrace_dashboards.llm import LLM_DASHBOARD
from headrace_dashboards.panels import build
from headrace_dashboards.sql_panels import build_sql

if __name__ == "__main__":
    name = sys.argv[1]
    built = build_sql(LLM_DASHBOARD) if name == "llm" else build(DASHBOARDS[name])
    print(json.dumps(built, indent=1))
