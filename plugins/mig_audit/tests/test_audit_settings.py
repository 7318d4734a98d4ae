from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_audit import AuditModule, settings
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_an_empty_table_is_enough() -> None:
    AuditModule().check_config({})


@pytest.mark.parametrize(
    ("config", "key", "problem"),
    [
        ({"rules": "x"}, "rules", "must be a list"),
        ({"rules": [1]}, "rules[0]", "must be a string"),
        ({"rules": ["-w /x -p q"]}, "rules[0]", "letters r w x a"),
        ({"rules_file": "relative"}, "rules_file", "absolute"),
        ({"rules_file": 3}, "rules_file", "must be a string"),
        ({"multicast": "sometimes"}, "multicast", "auto, only, never"),
        ({"backlog_limit": 1}, "backlog_limit", "from 64"),
        ({"backlog_limit": True}, "backlog_limit", "whole number"),
        ({"rate_limit": "9"}, "rate_limit", "whole number"),
        ({"receive_buffer_mb": 0}, "receive_buffer_mb", "from 1"),
        ({"include_raw": "no"}, "include_raw", "true or false"),
        ({"nosuchkey": 1}, "nosuchkey", "not a known key"),
    ],
)
def test_a_wrong_value_is_refused_with_the_path_of_its_key(config: dict[str, Any], key: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AuditModule().check_config(config)

    assert caught.value.key == f"persistent.audit.{key}"
    assert problem in caught.value.problem


def test_the_originals_key_gets_a_hint_at_ours() -> None:
    with pytest.raises(ConfigurationError) as caught:
        AuditModule().check_config({"rulespath": "/etc/mig/audit.rules.json"})

    assert "rules_file" in caught.value.next_step


def test_a_rule_file_that_is_not_there_is_an_error_with_the_key(make_service: Callable[..., Any]) -> None:
    service = make_service({"rules_file": "/no/such/file"})

    with pytest.raises(ConfigurationError, match=r"persistent\.audit\.rules_file: /no/such/file cannot be read"):
        AuditModule().serve(service)


def test_every_setting_is_in_the_manual() -> None:
    manual = Path(__file__).parents[3] / "docs" / "modules" / "audit.md"

    documented = set(re.findall(r"^\| `(\w+)` \|", manual.read_text(encoding="utf-8"), re.MULTILINE))

    assert {one.name for one in fields(settings.Settings)} <= documented
