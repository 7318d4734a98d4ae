"""The name of an account by its number, from the endpoint's own files (passwd(5)).

No name service is asked: that could go over the network, for each number, and wait for it. Where the endpoint has one
(nsswitch.conf(5)), a number that its files do not have may still be an account's. Accounts that systemd makes while a
service runs (``DynamicUser=``, systemd.exec(5)) and its user records in files (userdbd.conf(5)) are the endpoint's own.
"""

from __future__ import annotations

import json
import os
from functools import cached_property, lru_cache

from mig_endpoint.files.owners import NSSWITCH, PASSWD, all_names_are_known, content_of, lines_of

REMEMBERED = 10_000
"""Numbers whose name is not looked for again within a run."""
DYNAMIC = "/run/systemd/dynamic-uid"
"""Links ``direct:NUMBER`` -> name (``src/core/dynamic-user.c``)."""
RECORDS = ("/etc/userdb", "/run/userdb", "/usr/lib/userdb")
_MAX_RECORD = 1 << 20


class UserNames:
    """The names, as the files have them when the first is asked for.

    Args:
        root: in front of each path: the system whose accounts are meant.
    """

    def __init__(self, root: str = "") -> None:
        self._root = root

    def name(self, number: int) -> str | None:
        """The account's name; the number where it has none; None where only a name service could tell."""
        name = self._by_number.get(number) or self._dynamic(number) or self._recorded(number)
        if name:
            return name
        return str(number) if self._all_are_known else None

    @cached_property
    def _by_number(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for path in PASSWD:
            for line in lines_of(self._root + path):
                fields = line.split(b":", 3)
                if len(fields) == 4 and fields[0] and fields[2].isdigit():
                    found.setdefault(int(fields[2]), os.fsdecode(fields[0]))  # of two with a number, the first counts
        return found

    @cached_property
    def _all_are_known(self) -> bool:
        return all_names_are_known("passwd", self._root + NSSWITCH)

    def _dynamic(self, number: int) -> str:
        try:
            return os.readlink(f"{self._root}{DYNAMIC}/direct:{number}")
        except OSError:
            return ""

    def _recorded(self, number: int) -> str:
        for folder in RECORDS:
            try:
                record = json.loads(content_of(f"{self._root}{folder}/{number}.user", _MAX_RECORD))
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(record, dict) and isinstance(name := record.get("userName"), str):
                return name
        return ""


_here = UserNames()


@lru_cache(maxsize=REMEMBERED)
def user_name(number: int) -> str | None:
    """The name of an account of this endpoint: see :meth:`UserNames.name`."""
    return _here.name(number)
