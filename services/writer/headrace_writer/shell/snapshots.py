"""What the exporter's sources saw last, as Prometheus reads it.

A source replaces everything it said before, so what is gone (a replica that is silent, a partition
that was deleted) leaves the page instead of standing still on it.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from headrace_writer.metrics import Metric


class Sample(NamedTuple):
    """One value; `labels` are the values in the order of the metric's declaration."""

    metric: str
    labels: tuple[str, ...]
    value: float


class Snapshots(Collector):
    """Written by the sources' threads, read by whoever scrapes."""

    def __init__(self, declared: Iterable[Metric]) -> None:
        self._declared: Mapping[str, Metric] = {metric.name: metric for metric in declared}
        self._lock = threading.Lock()
        self._samples: dict[str, list[Sample]] = {}

    def put(self, source: str, samples: Sequence[Sample]) -> None:
        """Replace what the source said. Raises KeyError for a metric that nobody declared."""
        for sample in samples:
            if len(self._declared[sample.metric].labels) != len(sample.labels):
                msg = f"{sample.metric}: {sample.labels} do not fit its labels"
                raise ValueError(msg)
        with self._lock:
            self._samples[source] = list(samples)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: what there is depends on the moment."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Families in the order of their declaration."""
        with self._lock:
            samples = [sample for each in self._samples.values() for sample in each]
        by_metric: dict[str, list[Sample]] = {}
        for sample in samples:
            by_metric.setdefault(sample.metric, []).append(sample)
        for name, metric in self._declared.items():
            if name in by_metric:
                kind = CounterMetricFamily if metric.kind is Counter else GaugeMetricFamily
                family = kind(name, metric.help, labels=metric.labels)
                for sample in by_metric[name]:
                    family.add_metric(sample.labels, sample.value)
                yield family
