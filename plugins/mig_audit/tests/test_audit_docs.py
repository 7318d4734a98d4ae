"""The manual's story, executed: its configuration on this kernel, and the event it promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_audit import AuditModule
from mig_audit.losses import Counters

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_audit.kernel import Kernel

MANUAL = (Path(__file__).parents[3] / "docs" / "modules" / "audit.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    return str(re.findall(rf"^```{language}\n(.*?)^```", MANUAL, re.MULTILINE | re.DOTALL)[number])


def members(value: Any, path: str = "") -> set[str]:
    """The paths of all members, without those that depend on who runs the test, and where."""
    if isinstance(value, list):
        return set().union(*(members(one, path) for one in value))
    if not isinstance(value, dict):
        return {path}
    varying = ("_name", "gid", "suid", "fsuid", "cgroup")
    return set().union(*(members(one, f"{path}.{key}") for key, one in value.items() if not key.endswith(varying)))


def test_the_manuals_configuration_gives_the_manuals_event(
    audit_kernel: Kernel, make_service: Callable[..., Any]
) -> None:
    service = make_service(tomllib.loads(block("toml"))["persistent"]["audit"])
    promised = json.loads(block("json"))
    before = os.stat("/etc/passwd")
    thread = threading.Thread(target=AuditModule().serve, args=(service,))

    thread.start()
    try:
        service.wait_for(lambda: service.handler is not None)
        subprocess.run(["touch", "-m", "/etc/passwd"], check=True)
        service.wait_for(lambda: any(one.get("keys") == ["passwd"] for one in service.alerts))
    finally:
        service.stopping.set()
        thread.join()
        os.utime("/etc/passwd", ns=(before.st_atime_ns, before.st_mtime_ns))

    event = next(one for one in service.alerts if one.get("keys") == ["passwd"])
    assert members(event) == members(promised)
    same = ("schema", "type", "complete", "record_types", "result", "keys")
    assert {key: event[key] for key in same} == {key: promised[key] for key in same}
    assert event["syscall"]["name"] == promised["syscall"]["name"]
    assert event["paths"][0]["name"] == promised["paths"][0]["name"]


def test_the_manual_explains_every_counter_of_losses() -> None:
    loss = json.loads(block("json", 2))

    assert loss["total"].keys() == Counters().to_json().keys()
    assert {f"| `{name}` |" for name in loss["total"]} <= set(re.findall(r"^\| `\w+` \|", MANUAL, re.MULTILINE))


def test_the_manuals_json_rules_are_accepted(tmp_path: Path) -> None:
    from mig_audit.rule_fields import AnyAccount
    from mig_audit.ruleset import read_text

    text = re.search(r"`(\{\"audit_rules.*?\]\})`", MANUAL, re.DOTALL)

    assert text is not None
    assert len(read_text(text[1].encode(), AnyAccount(), source="manual").rules) == 2
