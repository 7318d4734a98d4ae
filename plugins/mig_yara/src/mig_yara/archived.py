"""The content of a member of an archive. ``mig_endpoint.files.archives`` says where it lies and how it is packed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from mig_endpoint.files.archives.members import MAX_HELD
from mig_endpoint.files.archives.zipfiles import DEFLATED, STORED
from mig_yara import reasons

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.archives.member import Member


def content(member: Member, tally: Tally, subject: str) -> bytes | None:
    """The bytes of a member; None, and it is booked, if they cannot be had.

    What the archive says of a size is not believed: a member that is said to be empty may not be. Of a damaged one,
    which is booked, there is as much as could be unpacked.
    """
    place = member.place
    if not member.size and (place is None or not place.size):
        return b""
    if member.size > MAX_HELD:
        tally.skip(reasons.MEMBER_TOO_LARGE, subject)
        return None
    if place is None or member.method not in (STORED, DEFLATED):
        tally.skip(reasons.MEMBER_NOT_UNPACKED, subject)
        return None
    data, is_whole = place.read(0, min(place.size, MAX_HELD)), True
    if member.method == DEFLATED:
        unpacker = zlib.decompressobj(wbits=-15)
        try:
            data = unpacker.decompress(data, MAX_HELD + 1)
        except zlib.error:
            tally.skip(reasons.MEMBER_DAMAGED, subject)
            return None
        is_whole = unpacker.eof
    if len(data) > MAX_HELD:
        tally.skip(reasons.MEMBER_TOO_LARGE, subject)
        return None
    if not is_whole or len(data) != member.size:
        tally.skip(reasons.MEMBER_DAMAGED, subject)
    return data
