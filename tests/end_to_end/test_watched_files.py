"""From a file that changes to what leaves the endpoint: ``fswatch``, ``sigma`` and ``dispatch`` in one agent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.site import Site
from mig_core.testing.eventually import eventually
from mig_core.testing.fleet import Fleet

if TYPE_CHECKING:
    from pathlib import Path

WATCHER = "migagenthost1"

SETTINGS = """
[persistent.fswatch]
paths = ["{watched}"]

[persistent.sigma]
rules = ["{rules}"]

[[persistent.dispatch.sinks]]
name = "local"
kind = "file"
path = "{sink}"
"""

RULE = """title: Something Came Among The Jobs
id: 2d0dbb10-50f5-4a5e-93a1-6f8a7e6f6e01
logsource:
    product: linux
    category: file_event
level: high
detection:
    selection:
        TargetFilename|contains: /jobs/
    condition: selection
"""


def test_a_file_that_a_sigma_rule_is_about_leaves_the_endpoint_as_change_and_as_match(tmp_path: Path) -> None:
    jobs, rules, sink = tmp_path / "watched" / "jobs", tmp_path / "rule.yml", tmp_path / "alerts.jsonl"
    jobs.mkdir(parents=True)
    rules.write_text(RULE, encoding="ascii")

    def sent(kind: str) -> list[dict[str, Any]]:
        whole = sink.read_bytes().rpartition(b"\n")[0] if sink.exists() else b""  # the last line may be in the making
        return [event for event in (json.loads(line)["event"] for line in whole.splitlines()) if event["type"] == kind]

    def matched() -> set[str]:
        events = [one["event"] for one in sent("sigma_match")]
        return {change["path"] for event in events for change in event.get("changes", [event])}

    with Platform(Site(tmp_path / "site", "https")) as platform:
        platform.start_agent(WATCHER, SETTINGS.format(watched=jobs.parent, rules=rules, sink=sink))
        fleet = Fleet(platform)
        eventually(lambda: sent("baseline"))
        eventually(lambda: "active" in fleet.mig("sigma", "list", "-t", "all").stdout)

        # With its content from the first moment on: one that is made and then filled may be told as two changes.
        (tmp_path / "one").write_text("first", encoding="ascii")
        (tmp_path / "one").rename(jobs / "one")
        (match,) = eventually(lambda: sent("sigma_match"))
        (change,) = eventually(lambda: sent("file_change"))
        burst = {str(jobs / str(number)) for number in range(50)}  # more than are told one by one
        for path in burst:
            with open(path, "w", encoding="ascii") as file:
                file.write("x")
        eventually(lambda: burst <= matched())
        asked = fleet.mig("fswatch", "-t", "all", "--change", "new").stdout

    assert (change["change"], change["path"]) == ("new", str(jobs / "one"))
    assert (match["rule"]["title"], match["module"]) == ("Something Came Among The Jobs", "fswatch")
    assert match["event"] == change
    assert str(jobs / "one") in asked
