"""The configuration: every mistake names its key; the manual's tables are the declaration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.errors import ConfigurationError
from mig_core.plugin.parameters import Kind
from mig_dispatch import DispatchModule, declaration
from mig_dispatch.settings import read_settings
from mig_dispatch.targets import BulkTarget, GelfTarget, Secret, SplunkTarget, StreamTarget, SyslogTarget, WebTarget

if TYPE_CHECKING:
    from mig_core.domain.document import JSON
    from mig_core.plugin.parameters import Parameter

GOOD: dict[str, Any] = {"name": "main", "kind": "http", "url": "https://alerts.example.net/mig"}
BULK = {"name": "e", "kind": "elasticsearch", "url": "https://es.example.net:9200", "index": "mig-alerts"}
MANUAL = Path(__file__).parents[3] / "docs" / "modules" / "dispatch.md"


@pytest.mark.parametrize(
    ("config", "key", "problem"),
    [
        ({}, "sinks", "must be 1 to 8 tables"),
        ({"sinks": []}, "sinks", "must be 1 to 8 tables"),
        ({"sinks": ["http"]}, "sinks[0]", "must be a table"),
        ({"sinks": [GOOD], "spool_mb": "64"}, "spool_mb", "must be a whole number"),
        ({"sinks": [GOOD], "spool_mb": 7}, "spool_mb", "must be from 8 to 65536"),
        ({"sinks": [GOOD], "spol_mb": 64}, "spol_mb", "is not a known key"),
        ({"sinks": [{**GOOD, "kind": "htp"}]}, "sinks[0].kind", "must be one of"),
        ({"sinks": [{"name": "a"}]}, "sinks[0].kind", "is missing"),
        ({"sinks": [{"name": "a", "kind": "http"}]}, "sinks[0].url", "is missing"),
        ({"sinks": [GOOD, {**GOOD, "name": "b", "urll": ""}]}, "sinks[1].urll", "is not a known key"),
        ({"sinks": [GOOD, GOOD]}, "sinks[1].name", "another sink"),
        ({"sinks": [{**GOOD, "name": "../x"}]}, "sinks[0].name", "lower case"),
        ({"sinks": [{**GOOD, "url": "alerts.example.net"}]}, "sinks[0].url", "must be like"),
        ({"sinks": [{**GOOD, "url": "https://a:b@x.example"}]}, "sinks[0].url", "secrets are read from files"),
        ({"sinks": [{**GOOD, "url": "https://x.example:99999"}]}, "sinks[0].url", "must be like"),
        ({"sinks": [{**GOOD, "timeout": 10}]}, "sinks[0].timeout", "must be a string"),
        ({"sinks": [{**GOOD, "timeout": "soon"}]}, "sinks[0].timeout", "must be a duration"),
        ({"sinks": [{**GOOD, "timeout": "0s"}]}, "sinks[0].timeout", "from 10ms"),
        ({"sinks": [{**GOOD, "retry_min": "10m"}]}, "sinks[0].retry_max", "less than retry_min"),
        ({"sinks": [{**GOOD, "cert_file": "/etc/c.pem"}]}, "sinks[0].key_file", "is missing"),
        ({"sinks": [{**GOOD, "bearer_file": "token"}]}, "sinks[0].bearer_file", "absolute path"),
        (
            {"sinks": [{**GOOD, "url": "http://[::1]/", "bearer_file": "/t", "proxy": "http://proxy.example:3128"}]},
            "sinks[0].bearer_file",
            "needs an https:// url",
        ),
        (
            {"sinks": [{**GOOD, "url": "http://x.example/", "bearer_file": "/etc/token"}]},
            "sinks[0].bearer_file",
            "needs an https:// url",
        ),
        ({"sinks": [{**GOOD, "url": "http://x.example/", "ca_file": "/etc/c"}]}, "sinks[0].url", "not encrypted"),
        ({"sinks": [{"name": "s", "kind": "sns", "topic_arn": "alerts"}]}, "sinks[0].topic_arn", "must be like arn:"),
        ({"sinks": [{"name": "s", "kind": "syslog", "url": "udp://x"}]}, "sinks[0].url", "must be like tls://"),
        ({"sinks": [{"name": "f", "kind": "file", "path": "alerts"}]}, "sinks[0].path", "absolute path"),
        ({"sinks": [{**GOOD, "where": "event.a = "}]}, "sinks[0].where", "expected a value, found the end"),
        (
            {"sinks": [{**GOOD, "where": "name = 'x'"}]},
            "sinks[0].where",
            "unknown name name at position 0 (known: event",
        ),
        ({"sinks": [{**GOOD, "where": "web1"}]}, "sinks[0].where", "unknown name web1"),
        ({"sinks": [{**GOOD, "aggregate": "2h"}]}, "sinks[0].aggregate", "at most 1h"),
        ({"sinks": [{**GOOD, "aggregate_by": ["a"]}]}, "sinks[0].aggregate", "is missing"),
        ({"sinks": [{**GOOD, "aggregate": "1m", "aggregate_by": ["a..b"]}]}, "sinks[0].aggregate_by[0]", "path in the"),
        ({"sinks": [{**BULK, "index": "Upper"}]}, "sinks[0].index", "in lower case"),
        (
            {"sinks": [{**BULK, "api_key_file": "/k", "basic_file": "/b"}]},
            "sinks[0].basic_file",
            "one of them is enough",
        ),
        (
            {"sinks": [{**BULK, "url": "http://x.example:9200", "api_key_file": "/k"}]},
            "sinks[0].api_key_file",
            "needs an https:// url",
        ),
        ({"sinks": [{"name": "s", "kind": "splunk", "url": "https://x:8088"}]}, "sinks[0].token_file", "is missing"),
        ({"sinks": [{"name": "g", "kind": "gelf", "url": "tls://x"}]}, "sinks[0].url", "must name a port"),
        (
            {"sinks": [{"name": "g", "kind": "gelf", "url": "tcp://x:1", "gzip": True}]},
            "sinks[0].gzip",
            "ends at a NUL",
        ),
    ],
)
def test_a_mistake_names_its_key(config: dict[str, Any], key: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(problem)) as caught:
        DispatchModule().check_config(config)

    assert caught.value.key == key


def test_the_least_that_works_gets_its_defaults() -> None:
    settings = read_settings({"sinks": [GOOD, {"name": "s", "kind": "syslog", "url": "tls://[::1]"}]})

    assert settings.spool_bytes == 64 << 20
    assert settings.sinks[0].target == WebTarget("https://alerts.example.net/mig")
    assert (settings.sinks[0].batch, settings.sinks[0].timeout, settings.sinks[0].retry_max) == (100, 10, 300)
    assert settings.sinks[1].target == SyslogTarget(StreamTarget("::1", 6514, True), 16, 6)


def test_each_receiver_has_its_address_and_its_own_header() -> None:
    tables: list[JSON] = [
        {**BULK, "url": "https://x:9200/", "basic_file": "/etc/b"},
        {"name": "s", "kind": "splunk", "url": "https://x:8088", "token_file": "/etc/t"},
        {"name": "g", "kind": "gelf", "url": "tls://x:12201", "severity": "warning"},
    ]

    bulk, splunk, gelf = (one.target for one in read_settings({"sinks": tables}).sinks)

    assert isinstance(bulk, BulkTarget)
    assert bulk.web.url.startswith("https://x:9200/_bulk?filter_path=errors,")
    assert bulk.web.secret == Secret("Basic", "/etc/b", "basic_file")
    assert isinstance(splunk, SplunkTarget)
    assert splunk.web.url == "https://x:8088/services/collector/event"
    assert splunk.web.secret.scheme == "Splunk"
    assert isinstance(gelf, GelfTarget)
    assert gelf == GelfTarget(None, StreamTarget("x", 12201, True), 4)


@given(
    config=st.dictionaries(
        st.sampled_from(["sinks", "spool_mb", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(["name", "kind", "url", "timeout", "path"]),
                    inner | st.sampled_from(["http", "syslog", "file", "sns", "https://x", "tls://[", "1s", "/a"]),
                )
            ),
        ),
    )
)
def test_any_table_is_settings_or_a_configuration_error(config: Any) -> None:
    try:
        read_settings(config)
    except ConfigurationError as error:
        assert error.key


def _rows(section: str) -> dict[str, str]:
    """key -> default, of the table under a heading of the manual."""
    text = MANUAL.read_text(encoding="utf-8")
    body = text.split(f"\n### {section}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| ([^|]*) \| [^|]+ \|$", body, re.MULTILINE)
    return {key: default.strip().strip("`") for key, default in rows}


def _declared(members: tuple[Parameter, ...]) -> dict[str, str]:
    return {one.key: _default(one) for one in members}


def _default(one: Parameter) -> str:
    if one.required:
        return "required"
    if one.kind is Kind.BOOLEAN:
        return "true" if one.default else "false"
    return "" if one.default is None else str(one.default)


@pytest.mark.parametrize(
    ("section", "members"),
    [
        ("The table itself", declaration.TOP),
        ("Every sink", declaration.COMMON),
        ("http", declaration.KINDS["http"]),
        ("elasticsearch", declaration.KINDS["elasticsearch"]),
        ("splunk", declaration.KINDS["splunk"]),
        ("gelf", declaration.KINDS["gelf"]),
        ("sns", declaration.KINDS["sns"]),
        ("syslog", declaration.KINDS["syslog"]),
        ("file", declaration.KINDS["file"]),
    ],
)
def test_the_manual_has_every_key_with_its_default(section: str, members: tuple[Parameter, ...]) -> None:
    assert _rows(section) == _declared(members)


def test_every_configuration_in_the_manual_can_be_used() -> None:
    import tomllib

    blocks = re.findall(r"```toml\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)

    assert blocks
    for block in blocks:
        read_settings(tomllib.loads(block)["persistent"]["dispatch"])
