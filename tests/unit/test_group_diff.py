"""Comparing groups of endpoints: what endpoints call themselves cannot harm a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mig_core.cli.group_diff import print_group_diff
from mig_core.cli.row_options import RowOptions
from mig_core.domain.reading.where import Fact

if TYPE_CHECKING:
    import pytest

HOSTILE = "web\x1b[2J"
ACCOUNT = {"targeted": 2, "counts": {"success": 2}, "answered": 2, "partial": 0, "withrows": 2}
NOTHING = dict.fromkeys(("undecided", "undecidedrows", "unreadable"), 0)


class Platform:
    """Two groups of one endpoint each, of which one calls itself something strange."""

    def stack(self, action: str, wish: Any) -> Any:
        items = [
            {"group": ["db"], "value": {"file": "/both"}, "endpoints": 1},
            {"group": [HOSTILE], "value": {"file": "/both"}, "endpoints": 1},
            {"group": [HOSTILE], "value": {"file": "/one\x1b[1m"}, "endpoints": 1},
        ]
        groups = [{"group": [one], "answered": 1} for one in ("db", HOSTILE)]
        return iter([{"items": items, "groups": groups, "account": {**ACCOUNT, **NOTHING}, "cursor": ""}])


def test_a_value_that_one_group_lacks_is_shown_with_its_endpoints(capsys: pytest.CaptureFixture[str]) -> None:
    action = {"id": "x", "operations": [{"module": "file"}]}

    print_group_diff(cast("Any", Platform()), action, RowOptions(columns=("file",)), (Fact("tags", ("role",)),))

    printed = capsys.readouterr()
    head, line = printed.out.splitlines()
    assert head.split() == ["file", "db", "(1)", "web\\x1b[2J", "(1)"]
    assert line.split() == ["/one\\x1b[1m", "0", "1"]
    assert "1 of 2 values are not in all of 2 groups" in printed.err
    assert "\x1b" not in printed.out + printed.err
