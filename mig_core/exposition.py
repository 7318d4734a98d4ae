"""Numbers for Prometheus, as every program of the platform gives them: what is said of all, and how it is written.

prometheus_client writes the text and knows the process; what there is to count is the programs' own. The only file that
imports it. Labels are words of ours: nothing that an endpoint says becomes one, so that no endpoint can make series.
"""

from __future__ import annotations

import platform
import re
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client import Metric

Samples = dict[tuple[str, ...], float]
"""Values of the labels -> number."""
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_PLUGINS = 200


def gauge(name: str, text: str, samples: Samples | float, labels: Sequence[str] = ()) -> Metric:
    """A number that goes up and down; one, or one for each value of the labels."""
    family = GaugeMetricFamily(name, text, labels=labels)
    _fill(family, samples)
    return family


def counter(name: str, text: str, samples: Samples | float, labels: Sequence[str] = ()) -> Metric:
    """A number that only grows; ``_total`` is added to its name."""
    family = CounterMetricFamily(name, text, labels=labels)
    _fill(family, samples)
    return family


def histogram(
    name: str, text: str, label: str, series: Mapping[str, tuple[Sequence[tuple[float, int]], float]]
) -> Metric:
    """How often something took how long.

    Args:
        name: of the metric.
        text: for people.
        label: tells the series apart.
        series: value of the label -> buckets (upper bound and how many, not cumulative), and the sum.
    """
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, (buckets, total) in series.items():
        cumulative, so_far = [], 0
        for bound, count in buckets:
            so_far += count
            cumulative.append(("+Inf" if bound == float("inf") else f"{bound:g}", so_far))
        family.add_metric([value], cumulative, total)
    return family


class Exposition(Collector):
    """Everything one program says.

    Args:
        part: ``api`` or ``scheduler``.
        process: Whether to say what the process uses.
    """

    def __init__(self, part: str, *, process: bool = True) -> None:
        self._part = part
        self._registry = CollectorRegistry()
        self._registry.register(self)
        if process:
            ProcessCollector(registry=self._registry)
        self._families: Callable[[], Iterable[Metric]] = tuple

    def text(self, families: Iterable[Metric]) -> bytes:
        """All of it, with these families beside what is said of every program."""
        known = list(families)
        self._families = lambda: known
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        yield gauge(
            "mig_build_info",
            "always 1; which release of which part this is",
            {(self._part, version(), platform.python_version()): 1},
            ("part", "version", "python"),
        )
        yield gauge(
            "mig_plugin_info",
            "always 1; a plugin that is installed here",
            dict.fromkeys(plugins(), 1),
            ("plugin", "version"),
        )
        yield from self._families()

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry does not have to know names beforehand."""
        return ()


@cache
def version() -> str:
    """This program's release."""
    try:
        return metadata.version("mig-core")
    except metadata.PackageNotFoundError:
        return "unknown"


@cache
def plugins() -> tuple[tuple[str, str], ...]:
    """Distributions that bring plugins, with their versions."""
    groups = ("mig.modules", "mig.agent", "mig.cli", "mig.server")
    found = {
        (point.dist.name, point.dist.version)
        for group in groups
        for point in metadata.entry_points(group=group)
        if point.dist is not None
    }
    return tuple(sorted(found))[:MOST_PLUGINS]


def compared(theirs: str, ours: str) -> str:
    """A word for an agent's release beside ours: ``same``, ``older``, ``newer`` or ``unknown``."""
    left, right = _numbers(theirs), _numbers(ours)
    if left is None or right is None:
        return "unknown"
    return "same" if left == right else "older" if left < right else "newer"


def _numbers(text: str) -> tuple[int, ...] | None:
    match = re.match(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", text, re.ASCII)
    return None if match is None else tuple(int(one or 0) for one in match.groups())


def _fill(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples | float) -> None:
    if not isinstance(samples, dict):
        family.add_metric([], samples)
        return
    for values, number in samples.items():
        family.add_metric(list(values), number)
