"""The module itself: parameters in, tries at every address, result out. The composition root of the plugin."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin.coverage import Reason, Tally
from mig_core.plugin.module import Context, Module, ModuleInfo
from mig_core.plugin.printing import duration_text, entries, mapping
from mig_core.records import replace
from mig_ping import declaration, lines
from mig_ping.outcome import State
from mig_ping.request import ICMP, TCP, Request, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.document import JSON
    from mig_endpoint.resolving import Address
    from mig_ping.outcome import Outcome
    from mig_ping.reach import Reach

MAX_ADDRESSES = 16
PAUSE = 0.1
"""Seconds between two tries at one address."""
NOT_RESOLVED = Reason("name that could not be resolved")
TOO_MANY = Reason(f"address beyond the first {MAX_ADDRESSES}")
NO_PRIVILEGE = Reason("address not tried: ICMP needs CAP_NET_RAW, or a group in net.ipv4.ping_group_range")
TIME_UP = Reason("address not tried, or less often than asked: time ran out")
FAILED = Reason("address that could not be tried")
MASKED = "masked"


class PingModule(Module[Request]):
    """Says whether the endpoint reaches a destination, by every address that its name has there."""

    info = ModuleInfo(
        name="ping",
        summary="find out whether endpoints reach a destination by ICMP, TCP or UDP",
        needs_network=True,
        discloses="whether the endpoint reaches a destination, how quickly, and the addresses that the name has there",
        preload=("mig_ping.tcp", "mig_ping.udp", "mig_ping.icmp", "mig_ping.reach"),
    )
    parameters = declaration.PARAMETERS
    columns = declaration.COLUMNS
    rows_at = declaration.ROWS_AT

    def parse_parameters(self, raw: object, *, strict: bool = True) -> Request:
        """The request. Nothing is resolved.

        Raises:
            ParameterError: names the JSON path of the fault.
        """
        return read_request(self.parameters.parse(raw, strict=strict))

    def run(self, parameters: Request, context: Context) -> ModuleResult:
        """Tries every address of the destination, as often as asked."""
        from mig_endpoint.resolving import NotResolved, resolve

        started = time.monotonic_ns()
        tally = Tally()
        reached: list[Reach] = []
        if context.expired():
            tally.skip(TIME_UP, parameters.destination)
            return _result(parameters, reached, tally, started)
        try:
            addresses = resolve(parameters.destination, parameters.port, context.remaining())
        except NotResolved as error:
            tally.failed(NOT_RESOLVED, parameters.destination, str(error))
            return _result(parameters, reached, tally, started)
        for address in addresses[MAX_ADDRESSES:]:
            tally.skip(TOO_MANY, address.text)
        for address in addresses[:MAX_ADDRESSES]:
            if (reach := _tries(parameters, address, context, tally)) is not None:
                reached.append(reach)
                context.partial(_result(parameters, reached, tally, started, is_partial=True))
        return _result(parameters, reached, tally, started)

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """The original's lines, for each address."""
        return lines.lines(result, found_only=found_only)

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without the addresses that the name has here, and without who refused."""
        coverage = result.coverage
        return replace(
            result,
            elements=_masked(result.elements),
            errors=tuple(MASKED for _ in result.errors),
            coverage=Coverage(
                coverage.complete,
                coverage.examined,
                tuple(Skipped(one.reason, one.count) for one in coverage.skipped),
            ),
        )


def _tries(request: Request, address: Address, context: Context, tally: Tally) -> Reach | None:
    """The tries at one address; None where there was not even one, which is booked."""
    from mig_ping.icmp import NotAllowed
    from mig_ping.reach import Reach

    if ipaddress.ip_address(address.text).is_multicast:
        tally.failed(FAILED, address.text, "is a multicast address: many would answer")
        return None
    reach = Reach(request, address.text)
    attempt = _attempts(request.protocol)
    for number in range(request.count):
        if number:
            time.sleep(min(PAUSE, context.remaining()))
        limit = min(request.timeout, context.remaining())
        try:
            outcome = attempt(address, limit) if limit > 0 else None
        except NotAllowed:
            tally.failed(NO_PRIVILEGE, address.text, "permission denied")
            return None
        if outcome is None or (outcome.state in (State.TIMEOUT, State.SILENT) and limit < request.timeout):
            tally.skip(TIME_UP, address.text)  # a limit that was cut short proves nothing
            break
        tally.examined("tries")
        reach.outcomes.append(outcome)
    if not reach.outcomes:
        return None
    tally.examined("addresses")
    if reach.state is State.FAILED:
        tally.failed(FAILED, address.text, reach.outcomes[-1].problem)
    return reach


def _attempts(protocol: str) -> Callable[[Address, float], Outcome]:
    from mig_ping import icmp, tcp, udp

    return icmp.attempt if protocol == ICMP else tcp.attempt if protocol == TCP else udp.attempt


def _result(
    request: Request, reached: list[Reach], tally: Tally, started: int, *, is_partial: bool = False
) -> ModuleResult:
    """The original's elements about the address that did best, and an entry for each."""
    coverage = tally.coverage()
    if is_partial:
        coverage = replace(coverage, complete=False)
    found = [one for one in reached if one.is_found]
    best = next((one for one in found if one.state is State.REACHED), next(iter(found or reached), None))
    elements: dict[str, JSON] = {
        "latencies": best.latencies() if best else [],
        "protocol": request.protocol,
        "resolvedhost": best.resolved if best else "",
        "failures": best.failures() if best else None,
        "addresses": [one.to_json() for one in reached],
    }
    statistics: dict[str, JSON] = {"exectime": duration_text(time.monotonic_ns() - started)}
    return ModuleResult(bool(found), bool(reached), elements, statistics, tally.errors(), coverage)


def _masked(elements: JSON) -> JSON:
    if not isinstance(elements, dict):
        return elements
    shown = dict(elements)
    shown["resolvedhost"] = MASKED if elements.get("resolvedhost") else ""
    if elements.get("failures"):
        shown["failures"] = [MASKED]
    shown["addresses"] = [
        {**entry, "address": MASKED, **({"failures": [MASKED]} if entry.get("failures") else {})}
        for entry in map(dict, map(mapping, entries(elements.get("addresses"))))
    ]
    return shown
