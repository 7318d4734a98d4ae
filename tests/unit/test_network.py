"""What all who talk over a network share: pauses between attempts, and the environment's proxies."""

from __future__ import annotations

import os
import random
import urllib.request
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.network.backoff import Backoff
from mig_core.network.proxies import environment_proxy

URL = "https://mig.example.net/api"
PROXY = {"https_proxy": "http://proxy:3128"}


@given(st.floats(0.01, 5), st.floats(5, 600), st.integers(), st.integers(1, 40))
def test_pauses_lie_between_the_first_and_a_ceiling_that_doubles(
    first: float, limit: float, seed: int, attempts: int
) -> None:
    backoff = Backoff(first, limit, chance=random.Random(seed).random)

    pauses = [backoff.next() for _ in range(attempts)]

    assert all(first <= pause <= min(limit, first * 2.0 ** (n + 1)) for n, pause in enumerate(pauses))


def test_after_something_worked_pauses_are_short_again() -> None:
    backoff = Backoff(1.0, 60.0, chance=lambda: 0.999)
    for _ in range(10):
        backoff.next()

    backoff.reset()

    assert backoff.next() < 2


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, ""),
        (PROXY, "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://loud:1", "https_proxy": "http://quiet:1"}, "http://quiet:1"),
        ({"HTTPS_PROXY": "http://loud:1", "https_proxy": ""}, ""),
        ({"http_proxy": "http://proxy:3128"}, ""),
        ({"all_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({**PROXY, "no_proxy": "localhost, example.net"}, ""),
        ({**PROXY, "NO_PROXY": ".EXAMPLE.net"}, ""),
        ({**PROXY, "no_proxy": "example.org,xample.net"}, "http://proxy:3128"),
        ({**PROXY, "no_proxy": "*"}, ""),
    ],
)
def test_the_environment_names_the_proxy(environment: dict[str, str], proxy: str) -> None:
    assert environment_proxy(URL, environment) == proxy


@pytest.mark.parametrize("exempt", ["::1", "[::1]", "[::1]:8443", "10.0.0.1,::1"])
def test_an_address_of_version_6_in_no_proxy_is_reached_directly(exempt: str) -> None:
    assert environment_proxy("https://[::1]:8443", {**PROXY, "no_proxy": exempt}) == ""


@pytest.mark.parametrize("exempt", ["::2", "1", "[::1]:443"])
def test_another_address_of_version_6_is_not(exempt: str) -> None:
    assert environment_proxy("https://[::1]:8443", {**PROXY, "no_proxy": exempt}) == "http://proxy:3128"


_NAMES = st.sampled_from(
    ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "Https_Proxy", "REQUEST_METHOD"]
)
_VALUES = st.sampled_from(
    ["", "http://a:1", "http://b:2", "example.net", ".net", "mig.example.net:443", "*", "other, NET,", "a,*", "::1"]
)
_HOSTS = st.sampled_from(["mig.example.net", "net", "a"])


@given(st.dictionaries(_NAMES, _VALUES), _HOSTS, st.sampled_from(["https", "http"]))
def test_the_rules_are_the_standard_librarys(environment: dict[str, str], host: str, scheme: str) -> None:
    with mock.patch.dict(os.environ, environment, clear=True):
        bypassed = urllib.request.proxy_bypass(f"{host}:443")
        expected = "" if bypassed else urllib.request.getproxies().get(scheme, "")

    found = environment_proxy(f"{scheme}://{host}:443", environment)

    assert found == (expected if "://" in expected or not expected else f"http://{expected}")
