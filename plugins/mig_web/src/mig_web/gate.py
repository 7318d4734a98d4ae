"""Who may come in, and what a browser may do with what it is given. Every request passes here.

1. Only processes of the same account connect (:mod:`mig_web.neighbours`).
2. ``Host`` must be ours: a name that somebody makes point to 127.0.0.1 (DNS rebinding) is none.
3. The token in the first address is good once, for a cookie that scripts cannot read and other sites cannot send.
   Only GET takes it: HEAD looks at an address and leaves it as it is.
4. Without the cookie there are only assets, and a page that says where to go.
5. What changes something is a POST whose ``Origin`` is ours, with a value that only our own pages have.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

import falcon

from mig_web import neighbours

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcon.asgi import Request, Response

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ASSETS = "/static/"
MAX_BODY = 4 << 20
"""Bytes of a form: a list of indicators may be long."""
_SAFE = ("GET", "HEAD")


class Stranger(falcon.HTTPForbidden):
    """A request without a session. ``where`` is what it asked for, on this server."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(title="No session", description=problem)
        self.where = where


class Gate:
    """The middleware, and the secrets of one process.

    Args:
        port: that is listened on.
        new_secret: makes an unguessable text.
        check_account: False lets processes of other accounts connect: for tests.
    """

    def __init__(self, port: int, new_secret: Callable[[], str], *, check_account: bool = True) -> None:
        self._token = new_secret()
        self._session = new_secret()
        self._check_account = check_account
        self.form_secret = new_secret()
        """What only our own pages can send along."""
        self.cookie = f"mig-web-{port}"
        self.origins = tuple(f"http://{name}:{port}" for name in ("127.0.0.1", "localhost"))

    @property
    def first_address(self) -> str:
        """What opens the session, once."""
        return f"{self.origins[0]}/?{urlencode({'token': self._token})}"

    async def process_request(self, request: Request, response: Response) -> None:
        """Called by falcon before anything else."""
        response.set_headers(HEADERS)
        if self._check_account and not neighbours.is_own(request.scope.get("client"), request.scope.get("server")):
            raise falcon.HTTPForbidden(title="Another account", description="this page belongs to another account")
        origin = f"http://{request.get_header('Host') or ''}"
        if origin not in self.origins:
            raise falcon.HTTPError("421 Misdirected Request", description=f"this server is {self.origins[0]}")
        if request.path.startswith(ASSETS) and request.method in _SAFE:
            return
        response.set_header("Cache-Control", "no-store")
        if request.method == "GET" and request.has_param("token"):
            self._begin(request, response)
        if not self._has_session(request):
            raise Stranger(
                _without_token(request) if request.method in _SAFE else "/",
                "this browser has no session here, or came from another site",
            )
        if request.method not in _SAFE:
            await self._check_change(request, origin)

    def _begin(self, request: Request, response: Response) -> None:
        """A session for the token, which is spent with it. The address without the token is where to go next."""
        given = request.get_param_as_list("token") or [""]
        where = _without_token(request)
        if self._token and hmac.compare_digest(given[0].encode(), self._token.encode()):
            self._token = ""
            response.set_cookie(self.cookie, self._session, path="/", http_only=True, secure=False, same_site="Strict")
        elif not self._has_session(request):
            raise Stranger(where, "this address was used already, or is of an earlier run: it opens once")
        # Not falcon's HTTPSeeOther: an error takes no cookie along.
        response.status = falcon.HTTP_303
        response.location = where
        response.complete = True
        request.context.begun = True

    def _has_session(self, request: Request) -> bool:
        if getattr(request.context, "begun", False):
            return True
        given = request.get_cookie_values(self.cookie) or [""]
        return any(hmac.compare_digest(one.encode(), self._session.encode()) for one in given)

    async def _check_change(self, request: Request, origin: str) -> None:
        if request.method != "POST":
            raise falcon.HTTPMethodNotAllowed(["GET", "HEAD", "POST"])
        if request.get_header("Origin") != origin or request.get_header("Sec-Fetch-Site") not in (None, "same-origin"):
            raise falcon.HTTPForbidden(title="Another site", description="the request does not come from this page")
        if (request.content_length or 0) > MAX_BODY:
            raise falcon.HTTPContentTooLarge(title="Too large", description=f"at most {MAX_BODY} bytes")
        if request.content_length is None and request.get_header("Transfer-Encoding"):
            raise falcon.HTTPLengthRequired(title="No length", description="the length must be given")
        form = await request.get_media(default_when_empty={})
        given = form.get("form_secret", "") if isinstance(form, dict) else ""
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), self.form_secret.encode()):
            raise falcon.HTTPForbidden(
                title="An old page", description="this form is of an earlier run: load the page again"
            )


def _without_token(request: Request) -> str:
    """The address that is asked for, without the token: it belongs on no page."""
    if not request.has_param("token"):
        return _here(request.path, request.query_string)
    pairs = parse_qsl(request.query_string, keep_blank_values=True)
    return _here(request.path, urlencode([(name, one) for name, one in pairs if name != "token"]))


def _here(path: str, query: str) -> str:
    """An address on this server: a path that begins with two slashes would lead to another."""
    encoded = "/" + quote(path.lstrip("/\\"), safe="/")
    return f"{encoded}?{query}" if query else encoded
