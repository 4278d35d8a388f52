"""`python -m headrace_dashboards lag`: print a dashboard's JSON."""

import json
import sys

from headrace_dashboards import DASHBOARDS
from headrace_dashboards.panels import build

if __name__ == "__main__":
    print(json.dumps(build(DASHBOARDS[sys.argv[1]]), indent=1))
