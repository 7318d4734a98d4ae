"""``mig sigma compile`` and ``mig sigma test``, as they are called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mig_core.errors import MigError
from mig_sigma import SigmaModule
from mig_sigma.command import app
from mig_sigma.loading import builtin_rules
from mig_sigma.rule import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

YAML = """title: A rule
id: 0f5b1a52-6c1e-4b07-8f3c-6f3c8a9d1c11
logsource:
    product: linux
    category: process_creation
detection:
    a:
        Image|endswith: /nmap
    condition: a
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "good.yml").write_text(YAML, encoding="utf-8")
    (tmp_path / "bad.yml").write_text(YAML.replace("Image", "Hashes").replace("11\n", "12\n"), encoding="utf-8")
    return tmp_path


def test_rules_are_compiled_and_those_that_cannot_be_are_named(rules: Path) -> None:
    done = CliRunner().invoke(app, ["compile", str(rules), "-o", str(rules / "out.json")])

    assert done.exit_code == 0
    assert [one.title for one in read((rules / "out.json").read_bytes(), subject="out")] == ["A rule"]
    assert "bad.yml: asks for Hashes" in done.output
    assert "1 rules compiled" in done.output


def test_an_action_that_brings_them_is_one_that_the_module_takes(rules: Path) -> None:
    CliRunner().invoke(app, ["compile", str(rules / "good.yml"), "--action", "-o", str(rules / "action.json")])

    action = json.loads((rules / "action.json").read_bytes())
    (operation,) = action["operations"]
    assert (action["syntaxversion"], operation["module"]) == (3, "sigma")
    assert SigmaModule().parse_parameters(operation["parameters"]).given("rules")


def test_recorded_alerts_are_tried(rules: Path, program: Callable[..., bytes]) -> None:
    events = rules / "events"
    sent = {"module": "audit", "alert": json.loads(program("nmap", exe="/usr/bin/nmap"))}
    events.write_bytes(program("true") + b"\nno json\n" + json.dumps(sent).encode() + b"\n")

    done = CliRunner().invoke(app, ["test", str(rules / "good.yml"), "--events", str(events)])

    (line,) = [json.loads(one) for one in done.stdout.splitlines()]
    assert (line["line"], line["title"]) == (3, "A rule")
    assert "1 rules, 1 matches in 2 alerts" in done.output
    assert "1 lines are no alerts" in done.output


def test_what_dispatch_wrote_to_a_file_is_tried_whichever_module_sent_it(
    tmp_path: Path, program: Callable[..., bytes]
) -> None:
    rule = YAML.replace("process_creation", "file_event").replace("Image|endswith: /nmap", "TargetFilename: /jobs/x")
    (tmp_path / "program.yml").write_text(YAML, encoding="utf-8")
    (tmp_path / "file.yml").write_text(rule.replace("11\n", "12\n"), encoding="utf-8")
    change = b'{"schema":1,"type":"file_change","time":"2026-01-01T00:00:00Z","change":"new","path":"/jobs/x"}'
    alerts = (program("nmap", exe="/usr/bin/nmap"), change)
    records = [b'{"hostname":"web1","environment":{},"tags":{},"event":%s}' % one for one in alerts]
    (tmp_path / "sent").write_bytes(b"\n".join([*records, change]) + b"\n")

    done = CliRunner().invoke(app, ["test", str(tmp_path), "--events", str(tmp_path / "sent")])

    found = [json.loads(one) for one in done.stdout.splitlines()]
    assert [(one["line"], one["rule"][-2:]) for one in found] == [(1, "11"), (2, "12"), (3, "12")]
    assert "3 matches in 3 alerts" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("test", "{rules}/good.yml", "--events", "{rules}/missing"),
        ("compile", "{rules}", "-o", "{rules}/no/such/folder"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_it(words: tuple[str, ...], rules: Path) -> None:
    done = CliRunner().invoke(app, [word.format(rules=rules) for word in words])

    assert isinstance(done.exception, MigError)
    assert str(rules) in str(done.exception)


def test_what_is_shipped_is_no_more_than_its_own_rules() -> None:
    assert len({one.id for one in builtin_rules()}) == 10
