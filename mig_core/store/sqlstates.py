"""What an error of PostgreSQL means for whoever asked: by its SQLSTATE, never by its text or psycopg's class.

psycopg calls much an ``OperationalError`` that is none of the connection's: an index row that is too long (54000), a
statement that was cancelled (57014), a full disk (53100). Codes: PostgreSQL's documentation, appendix A.
"""

from __future__ import annotations

from enum import Enum

import psycopg
from psycopg_pool import PoolTimeout


class Trouble(Enum):
    """What to do about it."""

    BLOCKED = "blocked"
    """Transactions blocked one another: begin anew."""
    BROKE = "broke"
    """The connection is gone, or is to be given up: begin anew on another."""
    SHORT = "short"
    """The database cannot now, for want of something: try again later."""
    REFUSED = "refused"
    """It will not take these values, now or later."""
    UNFIT = "unfit"
    """Schema, rights or program do not fit together: an operator must act, the values are not to blame."""


# Longer beginnings go before shorter ones.
_MEANINGS = {
    "40001": Trouble.BLOCKED,
    "40P01": Trouble.BLOCKED,
    "08": Trouble.BROKE,
    "25006": Trouble.BROKE,  # the server became a read-only standby: there may be another one that writes
    "25P03": Trouble.BROKE,
    "57P": Trouble.BROKE,
    "53": Trouble.SHORT,
    "55": Trouble.SHORT,
    "57": Trouble.SHORT,
    "58": Trouble.SHORT,
    "XX001": Trouble.SHORT,
    "XX002": Trouble.SHORT,
    "21": Trouble.REFUSED,
    "22": Trouble.REFUSED,
    "23": Trouble.REFUSED,
    "44": Trouble.REFUSED,
    "54": Trouble.REFUSED,
    "XX": Trouble.REFUSED,  # like "invalid memory alloc request size": the usual end of an enormous value
}


def trouble_of(error: psycopg.Error) -> Trouble:
    """What kind of error this is."""
    if error.sqlstate:
        beginnings = (error.sqlstate[:length] for length in (5, 3, 2))
        return next((_MEANINGS[one] for one in beginnings if one in _MEANINGS), Trouble.UNFIT)
    if isinstance(error, PoolTimeout):
        return Trouble.SHORT
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Trouble.BROKE
    # psycopg itself found a value that it cannot send.
    return Trouble.REFUSED if isinstance(error, psycopg.DataError) else Trouble.UNFIT
