"""mig-api behind a real nginx: who fails is the real client, and a header that anybody can write changes nothing."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.domain import envelope as envelopes
from mig_core.domain.envelope import Envelope, Signature
from mig_core.testing.api_site import ApiSite, SampleAgent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.config.server import ApiSettings
    from mig_core.domain.document import JSON
    from mig_core.testing.keys import InvestigatorKeys
    from mig_core.testing.nginx import Nginx

NGINX = (Path(__file__).parents[2] / "packaging" / "proxies" / "nginx.conf").read_text(encoding="utf-8")
MANY = 201


@pytest.fixture
def site(
    request: pytest.FixtureRequest, api_settings: ApiSettings, store_url: str, investigator_keys: InvestigatorKeys
) -> Iterator[ApiSite]:
    settings = replace(api_settings, trusted_proxies=getattr(request, "param", ("127.0.0.1",)))
    # Buckets do not refill, however slow the machine is.
    site = ApiSite(settings.state, store_url, settings, investigator_keys, monotonic=lambda: 0.0)
    site.start()
    try:
        yield site
    finally:
        site.stop()


def documented_location() -> str:
    """What operators are given for nginx's configuration."""
    location = re.search(r"location / \{.*?\n    \}", NGINX, re.DOTALL)
    assert location is not None
    return location[0].replace("http://mig_api", "http://UPSTREAM")


def failed_login(address: str, account: str, *, source: str = "127.0.0.1", **headers: str) -> int:
    """The status of a login with a signature that is none."""
    document = Envelope(envelopes.LOGIN, b"{}", (Signature(account, b"nonsense"),)).to_bytes()
    connection = http.client.HTTPConnection(address, timeout=60, source_address=(source, 0))
    try:
        connection.request("POST", "/api/v1/login", document, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def test_one_strangers_failures_lock_out_neither_investigators_nor_agents_behind_the_same_proxy(
    site: ApiSite, nginx_before: Callable[..., Nginx]
) -> None:
    proxy = nginx_before(site.address, documented_location())
    alice = site.first_investigator()

    statuses = [failed_login(proxy.address, "A" * 40, source="127.0.0.7") for _ in range(MANY)]

    assert statuses[0] == 401
    assert statuses[-1] == 429
    behind = replace(site, address=proxy.address)
    assert behind.client(site.keys.alice).dashboard()
    assert SampleAgent(behind).enrol().status == 200
    assert alice.dashboard()


def test_a_failing_account_does_not_lock_out_its_neighbour_at_the_same_address(site: ApiSite) -> None:
    site.first_investigator()

    statuses = [failed_login(site.address, "A" * 40) for _ in range(21)]

    assert statuses[-1] == 429
    assert site.client(site.keys.alice).dashboard()


@pytest.mark.parametrize("site", [(), ("192.0.2.1",)], indirect=True, ids=["no proxy", "another proxy"])
def test_a_forwarded_header_from_loopback_does_not_get_round_the_limit(site: ApiSite) -> None:
    statuses = [
        failed_login(site.address, "A" * 40, **{"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(21)
    ]

    assert statuses[-1] == 429


def test_a_header_that_a_client_writes_before_the_proxy_does_not_get_round_it_either(
    site: ApiSite, nginx_before: Callable[..., Nginx]
) -> None:
    proxy = nginx_before(site.address, documented_location())

    statuses = [
        failed_login(proxy.address, "A" * 40, source="127.0.0.7", **{"X-Forwarded-For": f"203.0.113.{number}"})
        for number in range(21)
    ]

    assert statuses[-1] == 429


def test_logins_bootstraps_and_enrolments_do_not_use_up_one_anothers_tries(site: ApiSite) -> None:
    wrong: JSON = {"secret": "wrong", "name": "Eve", "publickey": site.keys.alice.public_key().decode()}
    for _ in range(21):
        site.ask("POST", "/api/v1/bootstrap", body=wrong)
        failed_login(site.address, "A" * 40)
    spent = site.ask("POST", "/api/v1/bootstrap", body=wrong)

    assert spent.status == 429
    assert SampleAgent(site).enrol().status == 200
    assert site.ask("POST", "/api/v1/login/nonce").status == 201
    assert failed_login(site.address, "B" * 40) == 401


def test_agents_without_the_secret_are_bounded_by_client_and_with_it_they_are_not(site: ApiSite) -> None:
    statuses = [SampleAgent(site).enrol(secret="").status for _ in range(501)]

    assert set(statuses[:500]) == {202}
    assert statuses[-1] == 429
    assert SampleAgent(site).enrol().status == 200


def test_of_a_strangers_facts_only_little_is_kept(site: ApiSite) -> None:
    stranger = SampleAgent(site)
    environment: dict[str, JSON] = {"os": "linux", "ident": "x" * 5000, "addresses": ["192.0.2.1"] * 900}
    facts = replace(stranger.facts(), environment=environment)
    stranger.facts = lambda: facts  # type: ignore[method-assign]  # what this one says of itself

    assert stranger.enrol(secret="").status == 202

    shown = site.first_investigator().agent(stranger.id)
    assert shown["environment"] == {"os": "linux", "ident": "x" * 200}
    assert len(json.dumps(shown)) < 1500
