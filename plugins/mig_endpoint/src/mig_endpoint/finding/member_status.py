"""What an archive says of one of its members, in the form of a file's status."""

from __future__ import annotations

from typing import NamedTuple


class MemberStatus(NamedTuple):
    """What an archive says of a member, under the names that :class:`os.stat_result` has."""

    st_mode: int
    st_size: int
    st_mtime_ns: int
