"""Print the chart's README: python -m headrace_chart."""

import sys

from headrace_chart.page import page

sys.stdout.write(page())
