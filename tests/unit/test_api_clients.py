"""Who the real client is: X-Forwarded-For counts from the proxies that the settings name, and from nobody else."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.api.clients import TrustedProxies, bucket_of

PROXIES = ["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"]


def client(peer: str, *forwarded: str, proxies: list[str] = PROXIES) -> str:
    headers = [(b"host", b"mig"), *((b"x-forwarded-for", one.encode()) for one in forwarded)]
    return TrustedProxies(proxies).client(peer, headers)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.7", [], "198.51.100.7"),
        ("198.51.100.7", ["203.0.113.9"], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9"], "127.0.0.1"),
        ("192.0.2.1", ["203.0.113.9"], "203.0.113.9"),
        ("192.0.2.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("192.0.2.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        ("192.0.2.1", ["203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        ("192.0.2.1", ["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        ("192.0.2.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("192.0.2.1", ["[2001:db9::5]:4711"], "2001:db9::5"),
        ("192.0.2.1", ["2001:DB9:0::5"], "2001:db9::5"),
        ("192.0.2.1", ["203.0.113.9, unknown"], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9, "], "192.0.2.1"),
        ("192.0.2.1", [], "192.0.2.1"),
        ("::ffff:192.0.2.1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:198.51.100.7", ["203.0.113.9"], "198.51.100.7"),
        ("2001:db8::1", ["203.0.113.9"], "203.0.113.9"),
    ],
)
def test_the_client_is_the_last_address_no_trusted_proxy_has(peer: str, forwarded: list[str], expected: str) -> None:
    assert client(peer, *forwarded) == expected


def test_whoever_connects_to_the_unix_socket_is_believed_when_the_settings_say_so() -> None:
    assert client("", "203.0.113.9", proxies=["unix"]) == "203.0.113.9"
    assert client("", "203.0.113.9", proxies=["127.0.0.1"]) == ""


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=4))
def test_a_stranger_is_himself_whatever_he_writes(forwarded: list[str]) -> None:
    headers = [(b"x-forwarded-for", one.encode("latin-1")) for one in forwarded]

    assert TrustedProxies(PROXIES).client("198.51.100.7", headers) == "198.51.100.7"


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=4))
def test_nothing_a_client_writes_changes_what_the_proxy_adds_behind_it(forwarded: list[str]) -> None:
    headers = [(b"x-forwarded-for", one.encode("latin-1")) for one in [*forwarded, "203.0.113.9"]]

    assert TrustedProxies(PROXIES).client("192.0.2.1", headers) == "203.0.113.9"


@pytest.mark.parametrize("name", ["proxy.example.net", "10.0.0.0/33", "", "Unix"])
def test_a_proxy_that_is_no_address_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        TrustedProxies([name])


def test_an_ipv6_client_counts_as_the_network_that_one_party_has() -> None:
    assert bucket_of("2001:db8:1:2:3:4:5:6") == bucket_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert bucket_of("2001:db8:1:3::1") != bucket_of("2001:db8:1:2::1")
    assert bucket_of("192.0.2.7") == "192.0.2.7"


def test_a_proxy_nobody_named_is_told_to_the_operator_once(caplog: pytest.LogCaptureFixture) -> None:
    proxies = TrustedProxies([])

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            proxies.client("127.0.0.1", [(b"x-forwarded-for", b"203.0.113.9")])

    assert caplog.text.count("trusted_proxies") == 1
