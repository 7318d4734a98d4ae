"""Rows about groups: who is in them, who may add to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_account.users import others
from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.directory import Directory
    from mig_account.ground import Ground
    from mig_account.records import Group
    from mig_core.plugin.cells import Cell

GROUPS = "groups"
NO_GROUPS = Reason("no source of groups was there")


def group_rows(ground: Ground, directory: Directory) -> Iterator[dict[str, Cell]]:
    """A row for each group of each source."""
    if not directory.groups:
        ground.tally.skip(NO_GROUPS, "/etc/group")
    for group in directory.groups:
        if ground.expired():
            return
        ground.tally.examined("groups")
        yield _row(group, directory)


def _row(group: Group, directory: Directory) -> dict[str, Cell]:
    same = directory.by_gid.get(group.gid, ()) if group.gid is not None else ()
    row: dict[str, Cell] = {
        "what": GROUPS,
        "name": group.name,
        "members": group.members,
        "all_members": directory.everybody_in(group),
        "administrators": group.administrators,
        "found_by": group.found_by,
        "same_id": others(same, group),
        "path": group.path,
        "odd": group.odd,
    }
    if group.gid is not None:
        row["gid"] = group.gid
    if group.line:
        row["line"] = group.line
    if group.password is None:
        row |= dict.fromkeys(("password", "method", "strength"))
    else:
        row |= {
            "password": group.password.state,
            "method": group.password.method,
            "cost": group.password.cost,
            "strength": group.password.strength,
        }
    return row
