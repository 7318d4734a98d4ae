"""What browsers get while a page is being made, at the application itself; and how silence is counted."""

from __future__ import annotations

import asyncio
import http.server
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import falcon.asgi
from falcon import testing

from mig_core.client.client import MigClient
from mig_core.client.silence import Silence
from mig_core.config.client import ClientSettings
from mig_core.domain.ids import Fingerprint
from mig_core.errors import ApiUnavailable, MigError, SignatureInvalid
from mig_web.following import LATE, Following
from mig_web.pages.action import _unheard
from mig_web.site import Site
from mig_web.waiting import FRESH, HowItStands, WaitingRoom

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from mig_core.domain.envelope import Envelope


class Clock:
    """A time that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Platform:
    """As much of a client as how long it is silent."""

    silent = 0.0

    def health(self, *, seconds: float) -> None:
        raise ApiUnavailable("http://platform", f"no answer within {seconds} s")


class Slow:
    """A page that is made when a test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.made = asyncio.Event()

    async def on_get(self, request: Request, response: Response) -> None:
        self.asked += 1
        await self.made.wait()
        response.text = f"page {self.asked}"

    async def on_post(self, request: Request, response: Response) -> None:
        response.text = "changed"


def visited(scenario: Any) -> None:
    """Runs a scenario with a browser, the page it asks for, a clock and the platform."""

    async def run() -> None:
        clock, platform, page = Clock(), Platform(), Slow()

        async def call(work: Any) -> Any:
            return work()

        def show(response: Response, _: str, /, *, status: str, text: str, where: str) -> None:
            response.status, response.text = status, text

        there: Any = SimpleNamespace(site=SimpleNamespace(client=platform, call=call), show=show)
        room = WaitingRoom(there, patience=0.01, monotonic=clock)
        app: Any = falcon.asgi.App(middleware=[room])
        app.add_route("/page", room.before("/page", page))
        app.add_route("/waiting", HowItStands(room))
        async with testing.ASGIConductor(app) as browser:
            await scenario(browser, page, clock, platform)

    asyncio.run(run())


def test_a_page_that_takes_long_is_asked_for_once_and_fetched_when_it_is_there() -> None:
    async def scenario(browser: Any, page: Slow, clock: Clock, _: Platform) -> None:
        first = await browser.simulate_get("/page?a=b")
        clock.now += 7
        how = await browser.simulate_get("/waiting", params={"of": "/page?a=b"})
        page.made.set()
        ready = await browser.simulate_get("/waiting", params={"of": "/page?a=b"})
        second = await browser.simulate_get("/page?a=b")

        assert (first.status_code, second.text, page.asked) == (503, "page 1", 1)
        assert how.json["ready"] is False and "after 7 s" in how.json["text"]
        assert ready.json["ready"] is True

    visited(scenario)


def test_a_page_that_nobody_fetched_is_made_anew_and_never_shown_late() -> None:
    async def scenario(browser: Any, page: Slow, clock: Clock, _: Platform) -> None:
        await browser.simulate_get("/page")
        page.made.set()
        await asyncio.sleep(0)
        clock.now += FRESH + 1
        late = await browser.simulate_get("/page")

        assert (late.text, page.asked) == ("page 2", 2)

    visited(scenario)


def test_a_page_that_was_begun_before_a_form_was_answered_is_made_anew() -> None:
    async def scenario(browser: Any, page: Slow, clock: Clock, _: Platform) -> None:
        await browser.simulate_get("/page")
        clock.now += 1
        await browser.simulate_post("/page")
        page.made.set()
        clock.now += 1
        how = await browser.simulate_get("/waiting", params={"of": "/page"})
        after = await browser.simulate_get("/page")

        assert how.json["ready"] is True
        assert (after.text, page.asked) == ("page 2", 2)

    visited(scenario)


def test_a_silent_platform_is_told_with_how_long_and_parts_of_pages_wait_by_themselves() -> None:
    async def scenario(browser: Any, page: Slow, _: Clock, platform: Platform) -> None:
        platform.silent = 12.0
        waiting = await browser.simulate_get("/page")
        page.made.set()
        part = await browser.simulate_get("/page", headers={"HX-Request": "true"})
        how = await browser.simulate_get("/waiting")

        assert waiting.status_code == 503 and "has not answered for 12 s" in waiting.text
        assert part.text == "page 2"
        assert (how.json["silent"], how.json["ready"]) == (True, False)

    visited(scenario)


class Keyless:
    """A signer for whom nobody types the passphrase, once ``given_up`` is set."""

    fingerprint = Fingerprint("A" * 40)

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.given_up = threading.Event()
        self.times = 0

    def sign(self, envelope: Envelope, *, check: bool = True) -> Envelope:
        self.times += 1
        self.asked.release()
        assert self.given_up.wait(30)
        raise SignatureInvalid(self.fingerprint, f"GnuPG did not sign, {self.times}")

    def check(self, envelope: Envelope) -> None: ...

    def public_key(self) -> bytes:
        return b""


class Nonces(http.server.BaseHTTPRequestHandler):
    """A platform at which nobody is logged in."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "13")
        self.end_headers()
        self.wfile.write(b'{"nonce":"n"}')

    def log_message(self, *_: object) -> None: ...


def test_a_login_that_fails_is_said_on_all_pages_that_wait_for_it_and_is_tried_anew_by_the_next() -> None:
    signer = Keyless()

    async def scenario(url: str) -> None:
        settings = ClientSettings(api=url, fingerprint=signer.fingerprint)
        client = MigClient(settings, lambda: signer, keep_session=False, environment={})
        site = Site(SimpleNamespace(client=client))  # type: ignore[arg-type]  # as much as a page needs

        class Numbers:
            async def on_get(self, _: Request, response: Response) -> None:
                response.media = await site.call(client.dashboard)

        async def say(_: Request, response: Response, error: MigError, _parameters: object) -> None:
            response.status, response.text = falcon.HTTP_400, str(error)

        app: Any = falcon.asgi.App()
        app.add_error_handler(MigError, say)
        app.add_route("/numbers", WaitingRoom(SimpleNamespace(site=site), patience=30.0).before("/numbers", Numbers()))  # type: ignore[arg-type]  # likewise
        async with testing.ASGIConductor(app) as browser:
            pages = [asyncio.create_task(browser.simulate_get("/numbers", params={"n": n})) for n in range(6)]
            await asyncio.to_thread(signer.asked.acquire, timeout=30)
            signer.given_up.set()
            told = {(page.status_code, page.text.rpartition(",")[0]) for page in await asyncio.gather(*pages)}
            asked = signer.times
            again = await browser.simulate_get("/numbers")

        assert told == {(400, f"signature by {signer.fingerprint}: GnuPG did not sign")}
        assert again.text.endswith(f"did not sign, {asked + 1}"), "by a login of its own"
        site.close()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nonces) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        asyncio.run(scenario(f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()


def test_silence_lasts_from_the_first_question_without_an_answer_to_the_next_word() -> None:
    clock = Clock()
    silence = Silence(clock)

    told = [silence.seconds()]
    asked, other = silence.broken_by_an_answer(), silence.broken_by_an_answer()
    asked.__enter__()
    clock.now += 4
    other.__enter__()
    clock.now += 1
    told.append(silence.seconds())
    other.__exit__(None, None, None)
    clock.now += 2
    told.append(silence.seconds())
    asked.__exit__(OSError, OSError(), None)
    clock.now += 3
    told.append(silence.seconds())
    with silence.broken_by_an_answer():
        clock.now += 1
    told.append(silence.seconds())

    assert told == [0, 5, 2, 5, 0]


def test_a_question_of_which_the_platform_says_nothing_more_is_said_to_be_from_before() -> None:
    clock = Clock()
    stream: Any = SimpleNamespace(follow=lambda *_, **__: iter(()))
    following = Following(stream, "action", monotonic=clock)
    following._thread.join(60)

    before = _unheard(following)
    clock.now += LATE + 4

    assert before == ""
    assert f"nothing of this question for {LATE + 4} s" in _unheard(following)
