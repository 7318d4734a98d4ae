"""The SNS sink against moto's server: the real boto3, real HTTP, no account."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from mig_dispatch.sinks.sns import MAX_MESSAGE_BYTES, SnsSink
from mig_dispatch.targets import SnsTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_dispatch.record import RecordMaker


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of a running moto server."""
    missing = [name for name in ("moto.server", "boto3") if not _importable(name)]
    if missing:
        if os.environ.get("CI"):
            pytest.fail(f"not installed: {', '.join(missing)} (moto[server], boto3)")
        pytest.skip(f"not installed: {', '.join(missing)} (moto[server], boto3)")
    code = (
        "from moto.server import ThreadedMotoServer as S; import sys; s = S('127.0.0.1', 0, verbose=False); s.start(); "
        "print(s.get_host_and_port()[1], flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.communicate(timeout=60)


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture
def target(moto: str, tmp_path: Path) -> SnsTarget:
    """A fresh topic, and credentials in a file."""
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST"), timeout=60).close()
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = id-from-the-file\naws_secret_access_key = secret\n")
    made = SnsTarget("arn:aws:sns:eu-west-1:123456789012:alerts", "eu-west-1", moto, str(credentials))
    _client(made).create_topic(Name="alerts")
    return made


def _client(target: SnsTarget) -> Any:
    boto3 = importlib.import_module("boto3")
    return boto3.client(
        "sns",
        region_name=target.region,
        endpoint_url=target.endpoint_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


def _published(target: SnsTarget) -> list[dict[str, Any]]:
    """What the server was sent, in order."""
    with urllib.request.urlopen(f"{target.endpoint_url}/moto-api/data.json", timeout=60) as answer:
        data = json.load(answer)
    topics = [one for one in data["sns"]["Topic"] if one["arn"] == target.topic_arn]
    return [json.loads(one[1]) for one in topics[0]["sent_notifications"]]


def test_each_alert_is_one_message_in_order(target: SnsTarget, maker: RecordMaker, alerts: Any) -> None:
    sink = SnsSink(target, 60, maker, "spool1")

    verdict = sink.deliver(alerts(count=5))
    sink.close()

    assert (verdict.settled, verdict.trouble) == (5, "")
    records = _published(target)
    assert [one["event"]["n"] for one in records] == [1, 2, 3, 4, 5]
    assert records[0]["hostname"] == "web1.example"


def test_a_message_over_256_kilobytes_is_cut_and_the_next_is_published(
    target: SnsTarget, maker: RecordMaker, alerts: Any
) -> None:
    sink = SnsSink(target, 60, maker, "spool1")

    verdict = sink.deliver(alerts(b'{"n":"' + b"x" * MAX_MESSAGE_BYTES + b'"}', b'{"n":2}'))
    sink.close()

    assert (verdict.settled, dict(verdict.refused)) == (2, {})
    long, short = (one["event"] for one in _published(target))
    assert long["cut"]["n"] > MAX_MESSAGE_BYTES
    assert short == {"n": 2}


def test_a_topic_that_is_not_there_is_trouble(target: SnsTarget, maker: RecordMaker, alerts: Any) -> None:
    missing = SnsTarget(target.topic_arn + "2", target.region, target.endpoint_url, target.credentials_file)
    sink = SnsSink(missing, 60, maker, "spool1")

    verdict = sink.deliver(alerts(count=1))
    sink.close()

    assert verdict.settled == 0
    assert "NotFound" in verdict.trouble


def test_a_service_that_is_not_there_is_trouble_within_the_time_out(
    target: SnsTarget, maker: RecordMaker, alerts: Any
) -> None:
    gone = SnsTarget(target.topic_arn, target.region, "http://127.0.0.1:9", target.credentials_file)
    sink = SnsSink(gone, 1, maker, "spool1")
    started = time.monotonic()

    verdict = sink.deliver(alerts(count=1))
    sink.close()

    assert verdict.settled == 0
    assert "EndpointConnectionError" in verdict.trouble
    assert time.monotonic() - started < 60


def test_a_fifo_topic_gets_a_group_and_an_identity(target: SnsTarget, maker: RecordMaker, alerts: Any) -> None:
    attributes = {"FifoTopic": "true"}
    arn = _client(target).create_topic(Name="ordered.fifo", Attributes=attributes)["TopicArn"]
    sink = SnsSink(SnsTarget(arn, target.region, target.endpoint_url, target.credentials_file), 60, maker, "spool1")

    verdict = sink.deliver(alerts(count=2))
    sink.close()

    assert (verdict.settled, verdict.trouble) == (2, "")
