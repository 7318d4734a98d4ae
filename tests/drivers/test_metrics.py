"""What the platform tells Prometheus: alert rules and dashboard name nothing that there is not, and no endpoint makes
series."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mig_core.agent.metrics_file import MetricsFile
from mig_core.api.metrics import Metrics
from mig_core.config.server import SchedulerSettings
from mig_core.errors import ConfigurationError
from mig_core.exposition import MEDIA_TYPE, compared
from mig_core.network.numbers_server import serving_numbers
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.scheduler.metrics import SchedulerMetrics
from mig_core.scheduler.reading import refused_check
from mig_core.scheduler.service import Scheduler
from mig_core.store.postgres import PostgresStore
from mig_core.testing.api_site import SampleAgent
from mig_core.testing.services import service_missing
from mig_core.testing.store_samples import facts

if TYPE_CHECKING:
    from mig_core.testing.api_site import ApiSite

PACKAGING = Path(__file__).parents[2] / "packaging"
RULES = PACKAGING / "prometheus" / "mig.rules.yml"
DASHBOARD = PACKAGING / "grafana" / "mig.json"
NAME = re.compile(r"\b(?:mig|process)_[a-z_]+")


def samples(text: str) -> set[str]:
    """Names as expressions use them; a histogram's three, and of families without a sample yet the family's own."""
    names = set()
    for family in text_string_to_metric_families(text):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        names |= {family.name + suffix for suffix in suffixes}
    return names


def scraped(address: str) -> http.client.HTTPResponse:
    if address.startswith("unix:"):
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(address.removeprefix("unix:"))
    else:
        connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    answer.text = answer.read().decode()  # type: ignore[attr-defined]  # for the test
    return answer


async def scheduler_scraped(url: str, address: str) -> str:
    """A real scheduler over a database, scraped once it has done all it does."""
    metrics = SchedulerMetrics()
    async with PostgresStore(url, pool_size=2) as store, serving_numbers(address, metrics.text, MEDIA_TYPE) as at:

        async def arrival(seconds: float) -> None:
            await asyncio.sleep(min(seconds, 0.05))

        relays = [HttpsPlatformRelay(store.relay_queue, arrival)]
        settings = SchedulerSettings(periodic_interval=timedelta(seconds=0.1))
        work = asyncio.ensure_future(
            Scheduler(store, relays, settings, now=lambda: datetime.now(UTC), metrics=metrics).run()
        )
        wanted = {"fan_out", "hand_over", "periodic"}
        try:
            async with asyncio.timeout(60):
                while True:
                    answer = await asyncio.to_thread(scraped, at)
                    text: str = answer.text  # type: ignore[attr-defined]  # as above
                    if wanted <= set(re.findall(r'last_round_timestamp_seconds\{work="(\w+)"\}', text)):
                        return text
                    await asyncio.sleep(0.05)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def agent_file(folder: Path) -> str:
    file = MetricsFile(
        folder / "mig-agent.prom",
        facts=lambda: facts("web1"),
        statistics=lambda: {'odd"name\n': 1, "commands_success": 7},
        persistent=lambda: {"audit": {"state": "running"}, "fswatch": {"state": "failed"}, "odd": None},
    )
    file.write({"answers": 3, "bytes": 4.5, "limit": 9, "disk_free": 100, "oldest": None}, connected=True)
    return (folder / "mig-agent.prom").read_text()


def test_every_expression_of_rules_and_dashboard_names_what_a_live_scrape_has(
    api_site: ApiSite, scheduler_store_url: str, tmp_path: Path
) -> None:
    SampleAgent(api_site).enrol()
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = re.findall(
        r"^ +expr: (?:>-\n)?((?:.*\n)+?) +(?:for|labels):", RULES.read_text(encoding="utf-8"), re.MULTILINE
    )

    live = samples(api_site.ask("GET", "/metrics").body.decode())
    live |= samples(asyncio.run(scheduler_scraped(scheduler_store_url, f"unix:{tmp_path}/metrics")))
    live |= samples(agent_file(tmp_path))

    assert len(rules) == RULES.read_text(encoding="utf-8").count("- alert:")
    assert len(expressions) > 30
    used = {name for text in (*expressions, *rules) for name in NAME.findall(text)}
    assert used - live == set()
    # And nothing is told that nobody looks at, but for what is there to be joined or counted by hand.
    told = {name for name in live if name.startswith("mig_")}
    assert told - used <= {
        "mig_agent_build_info",
        "mig_agent_module_info",
        "mig_agent_events",
        "mig_agent_spool_bytes",
        "mig_agent_spool_limit",
    }


@pytest.mark.parametrize("words", [("check", "rules", RULES.name), ("test", "rules", "mig.rules.test.yml")])
def test_promtool_finds_nothing_wrong_with_the_rules(words: tuple[str, ...]) -> None:
    if shutil.which("promtool") is None:
        service_missing("promtool is missing (apt-get install --no-install-recommends prometheus)")

    done = subprocess.run(["promtool", *words], cwd=RULES.parent, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_that_an_endpoint_says_becomes_a_label() -> None:
    metrics = Metrics()
    odd = [f"9.{number}.0-evil" for number in range(1000)]

    text = metrics.text(
        {"versions": {**dict.fromkeys(odd, 1), "0.1.0": 2, 'x"\n': 3}},
        {f"refused.{refused_check(f'refused (evil{number}): x')}": 1 for number in range(1000)},
    ).decode()

    assert 'mig_agents_by_release{release="newer"} 1000.0' in text
    assert 'mig_agents_by_release{release="older"} 2.0' in text
    assert 'mig_agents_by_release{release="unknown"} 3.0' in text
    assert text.count("mig_refusals_total{") == 10
    assert len(text.splitlines()) < 300


@pytest.mark.parametrize(
    ("theirs", "word"),
    [
        ("0.2.0", "same"),
        ("0.2", "same"),
        ("0.1.9", "older"),
        ("0.10.0", "newer"),
        ("", "unknown"),
        ("\N{ARABIC-INDIC DIGIT TWO}.0", "unknown"),
    ],
)
def test_a_release_is_compared_by_its_numbers(theirs: str, word: str) -> None:
    assert compared(theirs, "0.2.0") == word


def test_the_agents_file_replaces_itself_and_follows_nothing_that_others_put_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("keep")
    (tmp_path / ".mig-agent.prom.new").symlink_to(secret)
    (tmp_path / "mig-agent.prom").symlink_to(secret)

    text = agent_file(tmp_path)

    assert secret.read_text() == "keep"
    assert (tmp_path / "mig-agent.prom").stat().st_mode & 0o777 == 0o644
    assert 'mig_agent_persistent_up{module="fswatch"} 0' in text
    assert r'mig_agent_events{name="odd\"name\n"} 1' in text
    assert "mig_agent_spool_answers 3" in text


def test_an_address_that_cannot_be_listened_at_is_named(tmp_path: Path) -> None:
    async def tried(address: str) -> None:
        async with serving_numbers(address, SchedulerMetrics().text, MEDIA_TYPE):
            pass

    for address in (f"unix:{tmp_path}/no/such/folder", "127.0.0.1:no", "192.0.2.1:80"):
        with pytest.raises(ConfigurationError, match="metrics_listen"):
            asyncio.run(tried(address))


def test_whoever_asks_for_something_else_gets_nothing(tmp_path: Path) -> None:
    async def asked(request: bytes) -> bytes:
        async with serving_numbers("127.0.0.1:0", SchedulerMetrics().text, MEDIA_TYPE) as at:
            host, port = at.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(asked(b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")
    assert asyncio.run(asked(b"POST /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")
    assert asyncio.run(asked(b"x" * 100_000)) == b""
    assert b"mig_build_info" in asyncio.run(asked(b"GET /metrics?x HTTP/1.1\r\nHost: x\r\n\r\n"))
