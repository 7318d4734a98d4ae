"""What mig-api says when things go wrong, what it counts, and that its description tells the truth."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import falcon.inspect
import falcon.testing
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mig_core.api.app import MigApp, create_app
from mig_core.api.bootstrap import BootstrapSecret
from mig_core.api.exchange import Access
from mig_core.api.files import PlatformFiles
from mig_core.api.openapi import openapi_document
from mig_core.api.polls import Waiters
from mig_core.api.schemas import SCHEMAS
from mig_core.config.server import ApiSettings
from mig_core.errors import StoreUnavailable
from mig_core.store.rows import Permission
from mig_core.testing.api_site import ApiSite, SampleAgent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mig_core.domain.document import JSON


class BrokenStore(SimpleNamespace):
    """A store of which every part raises the same error."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self._noun = SimpleNamespace(
            backlog=self.fail, dashboard=self.fail, session=self.fail, token_matches=self.fail, put_nonce=self.fail
        )
        super().__init__(trouble=self.say)

    def __getattr__(self, name: str) -> SimpleNamespace:
        """Whatever nouns a store has."""
        noun: SimpleNamespace = self.__dict__["_noun"]
        return noun

    async def fail(self, *_: object) -> None:
        raise self.error

    async def say(self) -> str:
        return "it is away"


def broken_app(error: Exception, tmp_path: Path) -> MigApp:
    return create_app(
        cast("Any", BrokenStore(error)),
        cast("Any", None),
        ApiSettings(),
        files=PlatformFiles(ApiSettings()),
        bootstrap=BootstrapSecret(tmp_path, lambda: "x"),
        waiters=Waiters(),
        clock=lambda: datetime.now(UTC),
        new_token=lambda: "token",
        plugins=[{"sample": _sample}],
    )


async def _sample(query: Mapping[str, str]) -> JSON:
    return dict(query)


def test_an_unexpected_error_tells_the_client_a_request_id_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = broken_app(RuntimeError("SELECT secret FROM table"), tmp_path)

    answer = falcon.testing.simulate_get(app, "/metrics")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["request"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json["request"] in caplog.text
    assert "SELECT secret FROM table" in caplog.text


def test_a_database_that_is_away_is_503_and_worth_another_try(tmp_path: Path) -> None:
    app = broken_app(StoreUnavailable("password in here"), tmp_path)

    answer = falcon.testing.simulate_get(app, "/metrics")
    health = falcon.testing.simulate_get(app, "/healthz")

    assert (answer.status_code, health.status_code) == (503, 503)
    assert answer.headers["retry-after"]
    assert "password" not in answer.text


def test_every_answer_forbids_sniffing_caching_and_framing(api_site: ApiSite) -> None:
    for path in ("/healthz", "/nowhere", "/api/v1/actions"):
        headers = api_site.ask("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_what_is_not_there_is_a_problem_document_too(api_site: ApiSite) -> None:
    missing = api_site.ask("GET", "/api/v1/nothing")
    wrong_method = api_site.ask("DELETE", "/api/v1/actions")
    wrong_type = api_site.ask("POST", "/api/v1/login", body=b"{}", headers={"Content-Type": "text/xml"})
    not_json = api_site.ask("POST", "/api/v1/login", body=b"{")
    too_large = api_site.ask("POST", "/api/v1/login", body=b" " * 100_000)

    answers = (missing, wrong_method, wrong_type, not_json, too_large)
    assert [one.status for one in answers] == [404, 405, 415, 400, 413]
    assert {one.headers["content-type"] for one in answers} == {"application/problem+json"}
    assert all(one.json["detail"] and one.json["title"] for one in answers)


def test_every_route_but_the_open_ones_needs_a_login(api_site: ApiSite) -> None:
    document = api_site.ask("GET", "/api/v1/openapi.json").json
    identifier = "0197f9f0-0000-7000-8000-000000000000"
    opened = set()

    for path, methods in document["paths"].items():
        for method in methods:
            concrete = re.sub(r"\{\w+\}", identifier, path)
            body = b"{}" if "requestBody" in methods[method] else None
            for token in ("", "wrong"):
                status = api_site.ask(method.upper(), concrete, body=body, token=token).status
                if status != 401:
                    opened.add((method, path))

    declared = {
        (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not operation["security"]
    }
    assert opened == declared


def test_the_description_and_the_routes_are_the_same_both_ways(tmp_path: Path) -> None:
    app = broken_app(RuntimeError(), tmp_path)

    described = {
        (method.upper(), path)
        for path, methods in cast("dict[str, dict[str, object]]", openapi_document(app.routes, "1")["paths"]).items()
        for method in methods
    }
    served = {
        (route.method, route.full_path)
        for route in app.routes
        if (found := app._router.find(_concrete(route.full_path))) is not None
        and callable(getattr(found[0], f"on_{route.method.lower()}"))
    }
    registered = {
        (method, info.path)
        for info in falcon.inspect.inspect_routes(app)
        for method in (one.method for one in info.methods)
        if method in ("GET", "POST", "PATCH", "PUT", "DELETE") and (method, info.path) in served | described
    }

    assert described == served == registered
    assert len(described) == len(app.routes)


def test_every_route_says_who_may_call_it_and_names_known_schemas(tmp_path: Path) -> None:
    for route in broken_app(RuntimeError(), tmp_path).routes:
        assert isinstance(route.access, Access | Permission)
        assert route.response in SCHEMAS or route.status == 204
        assert not route.body or route.request in SCHEMAS


def test_every_schema_is_used_and_every_reference_leads_somewhere(tmp_path: Path) -> None:
    document = json.dumps(openapi_document(broken_app(RuntimeError(), tmp_path).routes, "1"))

    referenced = set(re.findall(r"#/components/schemas/(\w+)", document))

    assert referenced == set(SCHEMAS)


def test_metrics_count_requests_agents_and_polls(api_site: ApiSite) -> None:
    SampleAgent(api_site).enrol()
    api_site.ask("GET", "/api/v1/actions")

    text = api_site.ask("GET", "/metrics").body.decode()

    assert 'mig_agents{state="online"} 1' in text
    assert 'mig_http_requests_total{method="GET",route="/api/v1/actions",status="401"} 1' in text
    assert "mig_poll_waiters 0" in text
    assert {family.name for family in text_string_to_metric_families(text)} >= {"mig_agents", "mig_queue_entries"}


def test_real_answers_have_the_shape_their_schema_says(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    agent = SampleAgent(api_site)
    agent.enrol()

    _check(alice.investigators()[0], SCHEMAS["Investigator"])
    _check(alice.agent(agent.id), SCHEMAS["Agent"])
    _check(alice.dashboard(), SCHEMAS["Dashboard"])
    _check(alice.evaluate("all"), SCHEMAS["TargetEvaluation"])
    _check(api_site.ask("GET", "/api/v1/actions").json, SCHEMAS["Problem"])


ODD_TEXTS = ["\ud800", "\u0000", "\u202e\x1b[31m", "x" * 30_000, "' OR 1=1 --", "%00", "{}", ""]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_texts_are_never_a_fault_of_the_server(api_site: ApiSite, text: str) -> None:
    alice = api_site.first_investigator()
    alice.log_in()
    token = alice._session.token()
    armored = api_site.keys.bob.public_key().decode()
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/investigators", {"name": text, "publickey": armored}),
        ("/investigators", {"name": "Bob", "publickey": text}),
        ("/targets/evaluate", {"target": text}),
        ("/targets/evaluate", {"target": "name = '" + text.replace("'", "''") + "'"}),
        ("/weights", {"modules": [text], "signers": [text]}),
        ("/login", {"payloadType": text, "payload": text, "signatures": [{"keyid": text, "sig": text}]}),
        ("/bootstrap", {"secret": text, "name": text, "publickey": text}),
    ]
    quoted = quote(text.encode("utf-8", "surrogatepass"), safe="")
    paths = [
        f"/actions?name={quoted}",
        f"/actions?cursor={quoted}",
        f"/agents?target={quoted}",
        f"/agents?cursor={quoted}",
        f"/agents/{quoted or '-'}",
        f"/investigators/{quoted or '-'}",
        f"/actions/{quoted or '-'}/events",
    ]

    answers = [api_site.ask("POST", f"/api/v1{path}", body=body, token=token) for path, body in bodies]
    answers += [api_site.ask("GET", f"/api/v1{path}", token=token) for path in paths if len(path) < 8000]

    assert [one.body for one in answers if one.status >= 500] == []
    assert all(one.json for one in answers)


def _concrete(path: str) -> str:
    return re.sub(r"\{\w+\}", "x", path)


def _check(value: Any, schema: Any) -> None:
    """The part of JSON Schema that our schemas use, enough to notice a member too many or too few."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if value is not None:
            _check(value, schema["anyOf"][0])
        return
    kinds: dict[str, Any] = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
    assert isinstance(value, kinds[schema["type"]]), (value, schema)
    if schema["type"] == "array":
        for one in value:
            _check(one, schema["items"])
    if "properties" in schema:
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for key, one in value.items():
            _check(one, schema["properties"][key])
    if "enum" in schema:
        assert value in schema["enum"]
