"""Files that browsers fetch: style, scripts, and works of others in ``vendor``. All from this package."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import falcon

from mig_web.gate import ASSETS

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
NAMES = (
    *("mig.css", "mig.js", "plots.js", "icon.svg"),
    *("vendor/htmx.min.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css"),
)


class Assets:
    """``/static/…``: nothing secret, so no session is needed."""

    async def on_get(self, request: Request, response: Response, name: str) -> None:
        """A file; kept by the browser for as long as it likes when its address names the version."""
        if name not in NAMES:
            raise falcon.HTTPNotFound(title="Not found", description="there is no such file")
        response.data = _content(name)
        response.content_type = KINDS[name[name.rindex(".") :]]
        fresh = request.get_param("v") == _digest(name)
        response.cache_control = ["public", "max-age=31536000", "immutable"] if fresh else ["no-cache"]


def address_of(name: str) -> str:
    """A file's address, which changes with its content."""
    return f"{ASSETS}{name}?v={_digest(name)}"


@cache
def _content(name: str) -> bytes:
    return files("mig_web").joinpath("static", *name.split("/")).read_bytes()


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()[:16]
