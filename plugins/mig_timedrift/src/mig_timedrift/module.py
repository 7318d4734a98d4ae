"""The module itself: every source that tells something of the clock, and a verdict. The plugin's composition root."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin.coverage import Reason, Tally
from mig_core.plugin.module import Context, Module, ModuleInfo
from mig_core.plugin.printing import duration_text, entries, mapping
from mig_core.records import dataclass, replace
from mig_timedrift import declaration, lines
from mig_timedrift.declaration import MOST_SERVERS, seconds_of, server_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_core.domain.document import JSON
    from mig_endpoint.resolving import Address
    from mig_timedrift.reading import Reading
    from mig_timedrift.verdict import Judgement

MAX_ADDRESSES = 4
"""Of one server that are asked: a pool's name has many, and one answer is enough."""
RESOLVING = 5.0
"""Seconds that names may take."""
NO_SERVER = Reason("no time server is configured or named")
NOT_RESOLVED = Reason("time server whose name could not be resolved")
NO_ANSWER = Reason("time server that did not answer, or not usably")
ANOTHER = Reason("address of a time server that did not answer usably, while another of its did", as_asked=True)
MORE_SERVERS = Reason(f"time server beyond the first {MOST_SERVERS}")
MORE_ADDRESSES = Reason("further address of a time server", as_asked=True)
NO_STATE = Reason("time service whose state could not be read")
NOBODY_KNOWS = Reason("nobody who could be asked knows the time")
CONTRADICTION = Reason("time server that contradicts the others")
TOO_CLOSE = Reason("verdict within what the sources may be off by")
TIME_UP = Reason("time ran out")
MASKED = "masked"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    drift: float | None
    """Seconds that the clock may be off; None: there is no verdict to be given."""
    servers: tuple[tuple[str, int], ...]


class TimedriftModule(Module[Request]):
    """Says how wrong the endpoint's clock is. Nothing is set, started or synchronized."""

    info = ModuleInfo(
        name="timedrift",
        summary="find out how wrong the clocks of endpoints are",
        needs_network=True,
        discloses="the time on the endpoint, its time service's state, and which time servers it uses",
        preload=("mig_timedrift.asking", "mig_timedrift.configured", "mig_timedrift.kernel", "mig_timedrift.verdict"),
    )
    parameters = declaration.PARAMETERS
    columns = declaration.COLUMNS
    rows_at = declaration.ROWS_AT

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Request:
        """The request. Nothing is resolved.

        Raises:
            ParameterError: names the JSON path of the fault.
        """
        values = self.parameters.parse(raw, strict=strict)
        drift = values.text("drift")
        return Request(seconds_of(drift) if drift else None, tuple(map(server_of, values.texts("server"))))

    def run(self, parameters: Request, context: Context) -> ModuleResult:
        """Asks the endpoint's own service, then servers if a drift is asked about or servers are named."""
        from mig_timedrift.verdict import Judgement, judge

        started, now = time.monotonic_ns(), time.time_ns()
        tally = Tally()
        if context.expired():
            tally.skip(TIME_UP)
            return _result(parameters, now, [], Judgement(None), tally, started)
        look = _Look(context, tally)
        readings = look.own_state()
        if parameters.drift is not None or parameters.servers:
            readings += look.servers(parameters.servers)
        return _result(parameters, now, readings, judge(readings), tally, started)

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """The original's lines, and one for each source."""
        return lines.lines(result, self.rows(result), found_only=found_only)

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without names and addresses of servers."""
        coverage = result.coverage
        skipped = tuple(Skipped(one.reason, one.count) for one in coverage.skipped)
        return replace(
            result,
            elements=_masked(result.elements),
            statistics={"exectime": mapping(result.statistics).get("exectime")},
            errors=tuple(MASKED for _ in result.errors),
            coverage=Coverage(coverage.complete, coverage.examined, skipped),
        )


class _Look:
    """One look at everything that tells something of the clock."""

    def __init__(self, context: Context, tally: Tally) -> None:
        from mig_timedrift.configured import Configured

        self._context = context
        self._tally = tally
        self._configured = Configured(tally)
        self._from_files = [(one.name, one.port) for one in self._configured.servers()]

    def own_state(self) -> list[Reading]:
        """What the endpoint's own kernel and time service say."""
        from mig_timedrift import chrony, kernel, ntpd, timesyncd

        found: list[Reading | None] = []
        try:
            found.append(kernel.reading())
        except (OSError, AttributeError) as error:
            self._tally.failed(NO_STATE, "kernel", str(error))
        try:
            found.append(timesyncd.reading())
        except OSError as error:
            self._tally.failed(NO_STATE, "systemd-timesyncd", error.strerror or str(error))
        port = self._configured.command_port
        says = None
        try:
            says = chrony.reading(port=port or chrony.PORT) if port >= 0 else None
        except chrony.NotUnderstood as error:
            self._tally.failed(NO_STATE, "chronyd", str(error))
        found.append(says)
        if says is None:  # both cannot hold the port
            try:
                found.append(ntpd.reading())
            except ntpd.NotUnderstood as error:
                self._tally.failed(NO_STATE, "port 123", str(error))
        return [one for one in found if one is not None]

    def servers(self, named: Sequence[tuple[str, int]]) -> list[Reading]:
        """What servers answer: those named, or those that the endpoint's files name."""
        from mig_timedrift.asking import LIMIT, ask

        wanted = list(dict.fromkeys(named)) or self._from_files
        if not wanted:
            self._tally.skip(NO_SERVER)
            return []
        for name, _ in wanted[MOST_SERVERS:]:
            self._tally.skip(MORE_SERVERS, name)
        asked = list(self._addresses(wanted[:MOST_SERVERS]))
        readings = ask(asked, min(LIMIT, self._context.remaining()))
        self._tally.examined("servers", len(readings))
        known = {one.server for one in readings if one.usable}
        for one in readings:
            if not one.usable:
                self._tally.skip(ANOTHER if one.server in known else NO_ANSWER, f"{one.server} {one.address}")
        return readings

    def _addresses(self, wanted: Sequence[tuple[str, int]]) -> Iterator[tuple[str, Address]]:
        from mig_endpoint.resolving import NotResolved, Resolution

        under_way = [(name, Resolution(name, port)) for name, port in wanted]
        until = time.monotonic() + min(RESOLVING, self._context.remaining())
        for name, resolution in under_way:
            try:
                addresses = resolution.addresses(until - time.monotonic())
            except NotResolved as error:
                self._tally.failed(NOT_RESOLVED, name, str(error))
                continue
            for address in addresses[MAX_ADDRESSES:]:
                self._tally.skip(MORE_ADDRESSES, f"{name} {address.text}")
            yield from ((name, address) for address in addresses[:MAX_ADDRESSES])


def _result(
    request: Request, now: int, readings: Sequence[Reading], judgement: Judgement, tally: Tally, started: int
) -> ModuleResult:
    """The original's elements, with what every source says; found is a clock that is out of the window."""
    elements: dict[str, JSON] = {
        "hascheckeddrift": False,
        "localtime": _nanoseconds(now),
        "sources": [one.to_json() for one in readings],
    }
    found, success, verdict = request.drift is None, True, judgement.verdict
    for one in judgement.contradictory:
        tally.skip(CONTRADICTION, f"{one.server} {one.address}")
    if request.drift is not None and verdict is None:
        tally.skip(NOBODY_KNOWS)
        success = False
    elif request.drift is not None and verdict is not None:
        within = abs(verdict.offset) <= request.drift
        found = not within
        elements |= {"hascheckeddrift": True, "iswithindrift": within}
        if not within:
            elements["drifts"] = list(map(_drift_text, verdict.by))
        if abs(abs(verdict.offset) - request.drift) <= verdict.error:
            tally.skip(TOO_CLOSE)
    statistics: dict[str, JSON] = {
        "exectime": duration_text(time.monotonic_ns() - started),
        "ntpstats": [_statistic(one) for one in readings if one.source == "server"],
    }
    return ModuleResult(found, success, elements, statistics, tally.errors(), tally.coverage())


def _drift_text(one: Reading) -> str:
    offset = one.offset or 0.0
    how = "behind" if offset > 0 else "ahead of"
    who = f"ntp host {one.server}" if one.source == "server" else one.source
    return f"Local time is {how} {who} by {duration_text(round(abs(offset) * 1e9))}"


def _statistic(one: Reading) -> JSON:
    if one.offset is None or one.told is None:
        return {"host": one.server, "time": "0001-01-01T00:00:00Z", "latency": "0s", "drift": "0s", "reachable": False}
    sign = "-" if one.offset < 0 else ""
    return {
        "host": one.server,
        "time": _nanoseconds(round(one.told * 1e9)),
        "latency": duration_text(round((one.round_trip or 0.0) * 1e9)),
        "drift": sign + duration_text(round(abs(one.offset) * 1e9)),
        "reachable": True,
    }


def _nanoseconds(moment: int) -> str:
    """RFC 3339 with nanoseconds, as the original has it."""
    return f"{datetime.fromtimestamp(moment // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{moment % 1_000_000_000:09d}Z"


def _masked(elements: JSON) -> JSON:
    if not isinstance(elements, dict):
        return elements
    shown = {name: value for name, value in elements.items() if name != "drifts"}
    shown["sources"] = [
        {name: MASKED if name in ("server", "address") else value for name, value in mapping(entry).items()}
        for entry in entries(elements.get("sources"))
    ]
    return shown
