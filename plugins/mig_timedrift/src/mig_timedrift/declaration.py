"""The declared parameters and columns of ``timedrift``: what mig, mig-api and the agent check, offer and explain."""

from __future__ import annotations

from mig_core.domain.times import parse_duration
from mig_core.errors import MigError
from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.parameters import Parameter, Parameters
from mig_endpoint.resolving import check_destination

NTP_PORT = 123
MOST_SERVERS = 16


def seconds_of(text: str) -> float:
    """The seconds in a duration such as ``5s`` or ``1m30s``; a 0 needs no unit.

    Raises:
        ValueError: it is none.
    """
    if text == "0":
        return 0.0
    try:
        return parse_duration(text).total_seconds()
    except MigError as error:
        raise ValueError(str(error)) from None


def server_of(text: str) -> tuple[str, int]:
    """Name and port of ``name``, ``name:port``, ``fd00::1`` or ``[fd00::1]:port``.

    Raises:
        ValueError: it is none of these.
    """
    name, port = text, ""
    if text.startswith("["):
        name, _, port = text[1:].partition("]")
        if port and not port.startswith(":"):
            raise ValueError(f"{text!r:.80} is no server")
        port = port[1:] or str(NTP_PORT)
    elif text.count(":") == 1:
        name, _, port = text.partition(":")
    check_destination(name)
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= 65535):
        raise ValueError(f"{port!r:.20} is not a port")
    return name, int(port or NTP_PORT)


def _check_drift(text: str) -> None:
    if text:
        seconds_of(text)


PARAMETERS = Parameters(
    Parameter(
        name="drift",
        key="drift",
        metavar="DURATION",
        check=_check_drift,
        help="how far the clock may be off, like 5s; without it servers are asked only if they are named",
    ),
    Parameter(
        name="server",
        key="servers",
        many=True,
        metavar="HOST[:PORT]",
        check=server_of,
        help="ask this time server instead of those that the endpoint's own files name; may be repeated",
    ),
)
COLUMNS = (
    Column("source", ColumnKind.TEXT, "who says so: server, chrony, ntpd, timesyncd or kernel", always=True),
    Column("server", ColumnKind.TEXT, "the server asked, or followed by a service", masked=True),
    Column("address", ColumnKind.ADDRESS, "its address", masked=True),
    Column("usable", ColumnKind.BOOLEAN, "whether the offset counts"),
    Column("synchronized", ColumnKind.BOOLEAN, "whether the source follows a clock that it holds to be right"),
    Column("offset", ColumnKind.DURATION, "to be added to the endpoint's clock: positive where it is behind"),
    Column("error", ColumnKind.DURATION, "how far the offset may be off, by the source's own word and the round trip"),
    Column("round_trip", ColumnKind.DURATION, "time until the answer, without what the server held it"),
    Column("stratum", ColumnKind.INTEGER, "steps from a reference clock"),
    Column("leap", ColumnKind.TEXT, "leap second at the end of the day: none, insert, delete, unknown"),
    Column("updated", ColumnKind.TIME, "when the clock was synchronized last"),
    Column("problem", ColumnKind.TEXT, "why it does not count"),
)
ROWS_AT = "sources[]"
