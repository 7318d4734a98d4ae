"""``docs/rest-api.md`` lists the routes that there are, with what they need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from mig_core.api.app import create_app
from mig_core.api.bootstrap import BootstrapSecret
from mig_core.api.exchange import Access
from mig_core.api.files import PlatformFiles
from mig_core.api.polls import Waiters
from mig_core.config.server import ApiSettings

PAGE = (Path(__file__).parents[2] / "docs" / "rest-api.md").read_text(encoding="utf-8")


class NoStore:
    """The routes are declared without looking at it."""

    def __getattr__(self, name: str) -> None:
        return None


def test_the_table_has_every_route_and_no_other() -> None:
    app = create_app(
        cast("Any", NoStore()),
        cast("Any", None),
        ApiSettings(),
        files=PlatformFiles(ApiSettings()),
        bootstrap=BootstrapSecret(Path("unused"), str),
        waiters=Waiters(),
        clock=cast("Any", None),
        new_token=str,
    )
    words = {Access.ANYONE.value: "", Access.INVESTIGATOR.value: "session"}

    rows = re.findall(r"^\| (GET|POST|PATCH|PUT|DELETE) \| `([^`]+)` \| *(\w*) *\|", PAGE, re.MULTILINE)
    declared = [
        (route.method, route.full_path, words.get(route.access.value, route.access.value)) for route in app.routes
    ]

    assert sorted(rows) == sorted(declared)
