"""The declared parameters of ``memory``: what mig, mig-api and the agent check, offer and explain.

``search`` turns the checked values into a :class:`mig_memory.search.Search`.
"""

from __future__ import annotations

import re

from mig_core.plugin.parameters import Kind, Parameter, Parameters, Switch
from mig_memory import patterns

MAX_BYTES = 64 << 10
"""The longest byte string, in bytes."""
LARGEST_ADDRESS = 1 << 64

_LABEL = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")


def _check_label(label: str) -> None:
    if _LABEL.fullmatch(label) is None:
        raise ValueError(f"label {label!r:.80} must have 1 to 64 letters, digits, '_' or '-'")


def _check_text(text: str) -> None:
    text.encode()  # a lone surrogate cannot be sent on; UnicodeEncodeError is a ValueError


def _check_regex(value: str) -> None:
    _check_text(value)
    patterns.check_pattern(value)


def _check_hex(value: str) -> None:
    if not value:
        raise ValueError("is empty")
    if _HEX.fullmatch(value) is None:
        raise ValueError(f"{value!r:.60} is not a byte string: give pairs of hexadecimal digits without 0x, as cafe01")


PARAMETERS = Parameters(
    Parameter(
        name="description",
        key="description",
        max_length=1024,
        check=_check_text,
        cli=False,
        help="free text that comes back with the answer",
    ),
    Parameter(
        name="name",
        key="names",
        many=True,
        metavar="REGEX",
        check=_check_regex,
        help="regular expression on the path of the process's executable; on [name] where the path leads nowhere",
    ),
    Parameter(
        name="lib",
        key="libraries",
        many=True,
        metavar="REGEX",
        check=_check_regex,
        help="regular expression on the paths of libraries and other files mapped into the process",
    ),
    Parameter(
        name="content",
        key="contents",
        many=True,
        metavar="REGEX",
        check=_check_regex,
        help="regular expression on the bytes of the process's memory",
    ),
    Parameter(
        name="bytes",
        key="bytes",
        many=True,
        metavar="HEX",
        max_length=2 * MAX_BYTES,
        check=_check_hex,
        help="byte string in the process's memory, in hexadecimal without 0x",
    ),
    Parameter(
        name="offset",
        key="offset",
        kind=Kind.INTEGER,
        group="options",
        minimum=0,
        maximum=LARGEST_ADDRESS,
        metavar="ADDRESS",
        help="look only at memory from this address on",
    ),
    Parameter(
        name="maxlength",
        key="maxlength",
        kind=Kind.INTEGER,
        group="options",
        minimum=0,
        maximum=LARGEST_ADDRESS,
        metavar="BYTES",
        help="look only at the first so many bytes of each process's readable memory; 0 is all",
    ),
    Parameter(
        name="matchall",
        key="matchall",
        kind=Kind.BOOLEAN,
        group="options",
        cli_default=True,
        help="a process must pass every check",
    ),
    Switch(name="matchany", sets="matchall", value=False, help="a process must pass any one check; wins over matchall"),
    Parameter(
        name="nofiles",
        key="nofiles",
        kind=Kind.BOOLEAN,
        group="options",
        help="skip pages that are as the file they were mapped from, such as unchanged program code",
    ),
    Parameter(
        name="wide",
        key="wide",
        kind=Kind.BOOLEAN,
        group="options",
        help="look for content in UTF-16LE as well, as .NET, Java's char[] and Windows programs under Wine hold text",
    ),
    Parameter(
        name="logfailures",
        key="logfailures",
        kind=Kind.BOOLEAN,
        group="options",
        help="list each range of memory that could not be read among the failures",
    ),
    label="searches",
    check_label=_check_label,
)
