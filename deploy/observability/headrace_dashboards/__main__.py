"""`python -m headrace_dashboards lag`: print a dashboard's JSON."""

import json
import sys

from headrace_dashboards.lag import LAG_DASHBOARD
from headrace_dashboards.llm import LLM_DASHBOARD
from headrace_dashboards.panels import build
from headrace_dashboards.sql_panels import build_sql

DASHBOARDS = {"lag": lambda: build(LAG_DASHBOARD), "llm": lambda: build_sql(LLM_DASHBOARD)}

if __name__ == "__main__":
    print(json.dumps(DASHBOARDS[sys.argv[1]](), indent=1))
