"""Who may come in, and what may be done: every rule of the gate, at the application itself."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import falcon.asgi
import pytest
from falcon import testing

from mig_web import neighbours
from mig_web.gate import Gate, Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcon.asgi import Request, Response

OWN = {"Origin": "http://127.0.0.1:1665", "Cookie": "mig-web-1665=secret-2"}
FORM = "application/x-www-form-urlencoded"


class Client(testing.TestClient):
    """Asks under the server's own name, unless another is given."""

    def simulate_request(self, *arguments: Any, **named: Any) -> Any:
        name, _, port = named.pop("name", "127.0.0.1:1665").rpartition(":")
        return super().simulate_request(*arguments, **{"host": name, "port": int(port), **named})


class Anything:
    """A page that says what it was asked, and what it did."""

    def __init__(self) -> None:
        self.changes = 0

    async def on_get(self, request: Request, response: Response) -> None:
        response.text = f"secrets of the fleet at {request.relative_uri}"

    async def on_post(self, request: Request, response: Response) -> None:
        self.changes += 1


@pytest.fixture
def anything() -> Anything:
    return Anything()


@pytest.fixture
def client(anything: Anything) -> Iterator[testing.TestClient]:
    numbers = iter(range(1, 4))
    gate = Gate(1665, lambda: f"secret-{next(numbers)}", check_account=False)
    app: Any = falcon.asgi.App(middleware=[gate])
    app.add_route("/agents", anything)
    app.add_route("/static/mig.css", anything)

    async def stranger(request: Request, response: Response, error: Stranger, _: Any) -> None:
        response.status = falcon.HTTP_403
        response.text = f"go to {error.where}"

    app.add_error_handler(Stranger, stranger)
    yield Client(app)


def test_the_token_is_good_once_for_a_cookie_that_scripts_and_other_sites_cannot_use(
    client: testing.TestClient,
) -> None:
    first = client.simulate_get("/agents?target=a%26b&token=secret-1", headers={})
    again = client.simulate_get("/agents?token=secret-1", headers={})

    assert first.status_code == 303
    assert first.headers["location"] == "/agents?target=a%26b"
    assert first.headers["set-cookie"] == "mig-web-1665=secret-2; HttpOnly; Path=/; SameSite=Strict"
    assert again.status_code == 403
    assert "set-cookie" not in again.headers


def test_looking_at_the_first_address_without_opening_it_spends_no_token(client: testing.TestClient) -> None:
    looked = client.simulate_head("/agents?token=secret-1", headers={})
    opened = client.simulate_get("/agents?token=secret-1", headers={})

    assert (looked.status_code, opened.status_code) == (403, 303)
    assert "set-cookie" not in looked.headers
    assert opened.headers["set-cookie"].startswith("mig-web-1665=secret-2;")


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example/x", "///evil.example/x"])
def test_no_address_leads_to_another_server(path: str, client: testing.TestClient) -> None:
    with_session = client.simulate_get(path, query_string="token=x", headers={"Cookie": "mig-web-1665=secret-2"})
    without = client.simulate_get(path, headers={})

    assert (with_session.status_code, with_session.headers["location"]) == (303, "/evil.example/x")
    assert without.text == "go to /evil.example/x"


def test_with_a_session_a_spent_token_only_leaves_the_address(client: testing.TestClient) -> None:
    answered = client.simulate_get("/agents?token=secret-1", headers={"Cookie": "mig-web-1665=secret-2"})

    assert (answered.status_code, answered.headers["location"]) == (303, "/agents")


@pytest.mark.parametrize("cookie", ["", "mig-web-1665=", "mig-web-1665=secret-1", "mig-web-1666=secret-2"])
def test_without_a_session_there_is_only_the_way_to_one(cookie: str, client: testing.TestClient) -> None:
    page = client.simulate_get("/agents?target=x", headers={"Cookie": cookie})
    asset = client.simulate_get("/static/mig.css", headers={"Cookie": cookie})

    assert (page.status_code, page.text) == (403, "go to /agents?target=x")
    assert asset.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:1665", "127.0.0.1:1666", "127.0.0.1:80", "[::1]:1665", "127.0.0.1.evil.example:1665"]
)
def test_another_name_for_this_machine_is_refused(host: str, client: testing.TestClient) -> None:
    page = client.simulate_get("/agents", headers=OWN, name=host)
    token = client.simulate_get("/agents?token=secret-1", name=host)

    assert (page.status_code, token.status_code) == (421, 421)
    assert "set-cookie" not in token.headers


def test_a_form_of_our_own_page_changes_something(client: testing.TestClient, anything: Anything) -> None:
    answered = client.simulate_post("/agents", headers={**OWN, "Content-Type": FORM}, body="form_secret=secret-3&a=b")

    assert (answered.status_code, anything.changes) == (200, 1)


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({"Cookie": "mig-web-1665=x"}, "form_secret=secret-3"),
        ({"Origin": "http://evil.example"}, "form_secret=secret-3"),
        ({"Origin": "null"}, "form_secret=secret-3"),
        ({"Origin": ""}, "form_secret=secret-3"),
        ({"Origin": "http://localhost:1665"}, "form_secret=secret-3"),
        ({"Sec-Fetch-Site": "same-site"}, "form_secret=secret-3"),
        ({"Sec-Fetch-Site": "cross-site"}, "form_secret=secret-3"),
        ({}, ""),
        ({}, "form_secret="),
        ({}, "form_secret=secret-2"),
        ({}, "form_secret=secret-3&form_secret=secret-3"),
        ({"Content-Type": "text/plain"}, "form_secret=secret-3"),
        ({"Content-Type": "application/json"}, '["form_secret"]'),
    ],
)
def test_whatever_else_would_change_something_does_not(
    change: dict[str, str], body: str, client: testing.TestClient, anything: Anything
) -> None:
    answered = client.simulate_post("/agents", headers={**OWN, "Content-Type": FORM, **change}, body=body)

    assert 400 <= answered.status_code < 500
    assert anything.changes == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_do_nothing(method: str, client: testing.TestClient) -> None:
    assert client.simulate_request(method, "/agents", headers=OWN).status_code in (403, 405)


def test_a_form_that_is_too_large_is_not_read(client: testing.TestClient, anything: Anything) -> None:
    body = "form_secret=secret-3&a=" + "x" * (4 << 20)

    answered = client.simulate_post("/agents", headers={**OWN, "Content-Type": FORM}, body=body)

    assert (answered.status_code, anything.changes) == (413, 0)


@pytest.mark.parametrize("path", ["/agents", "/nowhere", "/static/mig.css"])
def test_every_answer_says_what_a_browser_may_do_with_it(path: str, client: testing.TestClient) -> None:
    headers = client.simulate_get(path, headers=OWN).headers

    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


def test_a_connection_of_this_account_is_its_own_and_one_that_there_is_not_is_nobodys() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        taken, _ = server.accept()
        with taken:
            assert neighbours.is_own(ours.getsockname(), server.getsockname())
            assert not neighbours.is_own(("127.0.0.1", 1), server.getsockname())


@pytest.mark.parametrize(
    ("uid", "inode", "own"),
    [(0, 12345, True), (os.geteuid(), 12345, True), (os.geteuid() + 1000, 12345, False), (0, 0, False)],
)
def test_a_connection_of_another_account_is_not(uid: int, inode: int, own: bool, tmp_path: Any) -> None:
    table = tmp_path / "tcp"
    line = f"0: 0100007F:C350 0100007F:0681 01 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0"
    table.write_text(f"  sl  local_address rem_address   st\n   {line}\n")

    assert neighbours.is_own(("127.0.0.1", 50000), ("127.0.0.1", 1665), table=str(table)) is own
