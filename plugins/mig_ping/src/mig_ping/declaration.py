"""The declared parameters and columns of ``ping``: what mig, mig-api and the agent check, offer and explain."""

from __future__ import annotations

from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.parameters import Kind, Parameter, Parameters
from mig_endpoint.resolving import check_destination

MOST_TRIES = 100
LONGEST = 300
PARAMETERS = Parameters(
    Parameter(
        name="d",
        key="destination",
        required=True,
        metavar="HOST",
        check=check_destination,
        help="name or address; a name is resolved on the endpoint, and every address of it is tried",
    ),
    Parameter(
        name="dp",
        key="destinationport",
        kind=Kind.INTEGER,
        minimum=-1,
        maximum=65535,
        metavar="PORT",
        help="port, for tcp and udp",
    ),
    Parameter(name="protocol", key="protocol", default="icmp", choices=("icmp", "tcp", "udp"), help="what to try with"),
    Parameter(
        name="c",
        key="count",
        kind=Kind.INTEGER,
        minimum=0,
        maximum=MOST_TRIES,
        metavar="N",
        help="how often to try each address; 0 is 3",
    ),
    Parameter(
        name="timeout",
        key="timeout",
        kind=Kind.INTEGER,
        minimum=0,
        maximum=LONGEST,
        metavar="SECONDS",
        help="how long one try may take; 0 is 5",
    ),
)
COLUMNS = (
    Column("destination", ColumnKind.TEXT, "the name or address that was asked for", always=True),
    Column("address", ColumnKind.ADDRESS, "an address that the endpoint resolved it to", masked=True, always=True),
    Column("protocol", ColumnKind.TEXT, "icmp, tcp or udp"),
    Column("port", ColumnKind.INTEGER, "the port, of tcp and udp"),
    Column(
        "state", ColumnKind.TEXT, "the best of all tries: reached, silent (udp), refused, unreachable, timeout, failed"
    ),
    Column("reached", ColumnKind.BOOLEAN, "whether it answered; not known where udp met silence, or nothing was tried"),
    Column("tries", ColumnKind.INTEGER, "how often it was tried"),
    Column("answers", ColumnKind.INTEGER, "how often it answered"),
    Column("latency", ColumnKind.DURATION, "time until the answer, the median"),
    Column("failures", ColumnKind.LIST, "what went wrong, and who said so", masked=True),
)
ROWS_AT = "addresses[]"
