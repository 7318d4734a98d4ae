"""What pages have in common: reading a request, showing a template, going elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import falcon

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from mig_web.site import Site
    from mig_web.templates import Templates

MAX_PARAMETER = 20_000
"""Characters of one parameter of an address."""


class Page:
    """The site and its templates, given to every page."""

    def __init__(self, site: Site, templates: Templates) -> None:
        self.site = site
        self.templates = templates

    def show(self, response: Response, template: str, /, *, status: str = falcon.HTTP_200, **context: Any) -> None:
        """Answers with a template."""
        response.status = status
        response.content_type = falcon.MEDIA_HTML
        response.text = self.templates.html(template, context)


def query(request: Request, name: str, default: str = "") -> str:
    """A parameter of the address; the last one where it stands there twice.

    Raises:
        HTTPBadRequest: it is too long.
    """
    given = request.get_param(name)
    text = default if given is None else str(given)
    if len(text) > MAX_PARAMETER:
        raise falcon.HTTPBadRequest(title="Too long", description=f"{name} is longer than {MAX_PARAMETER} characters")
    return text


async def form_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form; what is not a form has none."""
    media = await request.get_media(default_when_empty={})
    if not isinstance(media, dict):
        return {}
    return {
        str(name): [str(one) for one in (value if isinstance(value, list) else [value])]
        for name, value in media.items()
    }


def address(path: str, **parameters: str) -> str:
    """A path with the parameters that have a value."""
    given = {name: value for name, value in parameters.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def go(response: Response, where: str) -> None:
    """Answers a form: the browser goes on to a page."""
    response.status = falcon.HTTP_303
    response.location = where
