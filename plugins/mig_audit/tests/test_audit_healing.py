"""Rules stay in force for what their paths name, on the real kernel: directories and links are replaced under them."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_audit import places, rule, rule_fields, rule_line
from mig_audit.kernel import KernelRefused
from mig_audit.loading import BY_CHANGE, BY_KERNEL, BY_OTHERS, Loading
from mig_audit.netlink import Status
from mig_audit.note import Note, Notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_audit.kernel import Kernel

    Watching = Callable[[list[str]], Any]


def read(line: str) -> rule.Rule:
    made, _note = rule_line.read(line, rule_fields.AccountNumbers())
    assert made is not None
    return made


def write(path: Path) -> None:
    subprocess.run(["/bin/sh", "-c", 'echo x >> "$1"', "sh", str(path)], check=True)


def seen(service: Any, key: str, name: Path) -> bool:
    return any(
        one.get("keys") == [key] and any(path["name"] == str(name) for path in one.get("paths", []))
        for one in list(service.alerts)
        if one["type"] != "audit_gap"
    )


def gaps(service: Any) -> list[tuple[str, bool]]:
    return [(one["by"], one["until"] is not None) for one in service.of_type("audit_gap")]


def test_a_watch_whose_directory_is_replaced_is_loaded_again_and_the_gap_is_told(
    watching: Watching, tmp_path: Path
) -> None:
    folder, watched = tmp_path / "d", tmp_path / "d" / "f"
    folder.mkdir()
    service = watching([f"-w {watched} -p wa -k heal"])

    folder.rename(tmp_path / "e")
    service.wait_for(lambda: gaps(service) == [(BY_KERNEL, False)])
    folder.mkdir()
    service.wait_for(lambda: len(gaps(service)) == 2)
    write(watched)
    service.wait_for(lambda: seen(service, "heal", watched))

    told = service.of_type("audit_gap")
    assert gaps(service) == [(BY_KERNEL, False), (BY_KERNEL, True)]
    assert told[0]["keys"] == ["heal"]
    assert told[1]["since"] <= told[1]["until"]
    assert service.last_status["rules_loaded"] == 1


def test_a_watched_directory_that_is_replaced_at_once_is_watched_again(watching: Watching, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    service = watching([f"-w {folder} -p wa -k tree"])

    folder.rename(tmp_path / "old")
    folder.mkdir()
    service.wait_for(lambda: (gaps(service) or [("", False)])[-1][1])
    write(folder / "new")
    service.wait_for(lambda: seen(service, "tree", folder / "new"))


def test_a_file_system_that_is_unmounted_and_mounted_again_is_watched_again(watching: Watching, tmp_path: Path) -> None:
    mounted = tmp_path / "m"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(mounted)], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        service = watching([f"-w {mounted}/f -p wa -k mount"])
        subprocess.run(["umount", str(mounted)], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", str(mounted)], check=True)

        def written_and_seen() -> bool:
            write(mounted / "f")  # again and again: the rule may have been put on the empty directory first
            return seen(service, "mount", mounted / "f")

        service.wait_for(written_and_seen)

        service.wait_for(lambda: gaps(service)[-1][1])
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=False)


def test_a_path_that_is_not_there_is_watched_as_soon_as_it_is(watching: Watching, tmp_path: Path) -> None:
    watched = tmp_path / "later" / "f"
    service = watching([f"-w {watched} -p wa -k later"])
    service.wait_for(lambda: service.last_status.get("rules_waiting") == 1)

    watched.parent.mkdir()
    service.wait_for(lambda: gaps(service) == [(BY_CHANGE, True)])
    write(watched)
    service.wait_for(lambda: seen(service, "later", watched))

    assert service.last_status["rules_refused"] == 0


def test_the_target_of_a_watched_link_is_watched_and_its_new_target_too(watching: Watching, tmp_path: Path) -> None:
    link, first, second = tmp_path / "link", tmp_path / "first", tmp_path / "second"
    first.write_text("x", encoding="ascii")
    second.write_text("x", encoding="ascii")
    link.symlink_to("first")
    service = watching([f"-w {link} -p wa -k link"])

    write(link)
    service.wait_for(lambda: seen(service, "link", link))
    subprocess.run(["ln", "-sfn", "second", str(link)], check=True)
    service.wait_for(lambda: gaps(service) == [(BY_CHANGE, True)])
    write(second)
    service.wait_for(lambda: seen(service, "link", second))

    assert any(one.get("process", {}).get("name") == "ln" for one in service.alerts)  # the link's own change
    assert (service.last_status["rules_wanted"], service.last_status["rules_loaded"]) == (1, 1)


def test_programs_and_trees_behind_links_are_seen(watching: Watching, tmp_path: Path) -> None:
    program, tree = tmp_path / "tool", tmp_path / "tree"
    shutil.copy("/bin/true", program)
    tree.mkdir()
    (tmp_path / "tool-link").symlink_to(program)
    (tmp_path / "tree-link").symlink_to(tree)
    service = watching([
        f"-a always,exit -F arch=b64 -S execve -F exe={tmp_path}/tool-link -k program",
        f"-a always,exit -F dir={tmp_path}/tree-link -F perm=wa -k tree",
    ])  # fmt: skip

    subprocess.run([str(program)], check=True)
    write(tree / "new")

    service.wait_for(lambda: seen(service, "program", program))
    service.wait_for(lambda: seen(service, "tree", tree / "new"))


def test_a_rule_that_another_program_removes_stays_away_and_is_told(
    watching: Watching, audit_kernel: Kernel, tmp_path: Path
) -> None:
    service = watching([f"-w {tmp_path}/f -p wa -k gone"])

    audit_kernel.delete(audit_kernel.rules()[0], "as auditctl -D would")
    service.wait_for(lambda: bool(gaps(service)))

    assert gaps(service) == [(BY_OTHERS, False)]
    assert audit_kernel.rules() == []


@pytest.fixture
def loading(audit_kernel: Kernel, tmp_path: Path) -> Callable[..., Loading]:
    def make(lines: list[str], agent: int = 1) -> Loading:
        notebook = Notebook(tmp_path)
        made = Loading([read(one) for one in lines], audit_kernel, notebook, lambda _level, _text: None, agent)
        made.load([], Note(Status()), "then")
        return made

    return make


def fields(packed: bytes) -> list[int]:
    count = int.from_bytes(packed[8:12], sys.byteorder)
    start = 4 * (3 + rule.WORDS)
    return [int.from_bytes(packed[start + 4 * n : start + 4 * n + 4], sys.byteorder) for n in range(count)]


def test_the_agents_own_exclusion_outlives_an_upgrade_of_its_program(
    audit_kernel: Kernel, loading: Callable[..., Loading], tmp_path: Path
) -> None:
    program, link = tmp_path / "python3.11", tmp_path / "python"
    shutil.copy("/bin/sleep", program)
    link.symlink_to(program)
    with subprocess.Popen([str(link), "60"]) as agent:
        try:
            os.waitid(os.P_PID, agent.pid, os.WNOHANG | os.WEXITED | os.WNOWAIT)
            kept = loading(
                [f"-a never,exit -F exe={link}", "-a always,exit -F arch=b64 -S execve -k exec"], agent=agent.pid
            )
            before = len(audit_kernel.rules())
            shutil.copy("/bin/true", tmp_path / "new")
            (tmp_path / "new").rename(program)
            kept.look("now", set(), listing=False)
        finally:
            agent.kill()

    after = audit_kernel.rules()
    assert (before, len(after)) == (3, 5)
    # what never is audited still comes before what always is
    assert [fields(one)[0] for one in after[:4]].count(rule.ARCH) == 0
    assert {rule.PID, rule.PPID} <= {fields(one)[0] for one in after}


def test_rules_keep_their_order_when_one_of_them_is_loaded_again(
    audit_kernel: Kernel, loading: Callable[..., Loading], tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    tool = tmp_path / "a" / "tool"
    shutil.copy("/bin/true", tool)
    kept = loading([
        "-a always,exit -F arch=b64 -S mount",
        f"-a never,exit -F exe={tool}",
        "-a always,exit -F arch=b64 -S execve",
    ])  # fmt: skip
    before = audit_kernel.rules()

    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b" / "tool").unlink()
    (tmp_path / "a").mkdir()
    shutil.copy("/bin/true", tool)
    told = kept.look("now", {str(tool)}, listing=True)

    assert [gap.until for gap in told] == ["now"]
    assert [rule.normal(one) for one in audit_kernel.rules()] == [rule.normal(one) for one in before]


class Late:
    """A kernel for which a path was not there yet at the first time of asking."""

    def __init__(self) -> None:
        self.loaded: list[bytes] = []
        self.refusals = 1

    def rules(self) -> list[bytes]:
        return self.loaded

    def add(self, packed: bytes, what: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise KernelRefused(what, errno.ENOENT)
        self.loaded.append(packed)

    def delete(self, packed: bytes, what: str) -> None:
        self.loaded.remove(packed)


def test_a_rule_that_came_a_moment_too_early_is_not_called_loaded_and_is_loaded_later(tmp_path: Path) -> None:
    late = Late()
    kept = Loading([read(f"-w {tmp_path}/f -p wa")], late, Notebook(tmp_path), lambda _level, _text: None, 1)  # type: ignore[arg-type]  # has what it uses

    kept.load([], Note(Status()), "then")
    before = (kept.count.loaded, kept.count.waiting, kept.count.refused)
    told = kept.look("now", set(), listing=True)

    assert before == (0, 1, 0)
    assert [(gap.since, gap.until) for gap in told] == [("then", "now")]
    assert (kept.count.loaded, kept.count.waiting) == (1, 0)


def test_a_link_becomes_a_rule_for_itself_and_one_for_what_is_behind(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(tmp_path / "real")

    watch = places.forms_of(read(f"-w {tmp_path}/one -p w"))
    never = places.forms_of(read(f"-a never,exit -F dir={tmp_path}/one"))
    other = places.forms_of(read(f"-a always,exit -F exe!={tmp_path}/one"))

    assert [one.paths for one in watch] == [(str(tmp_path / name),) for name in ("one", "two", "real")]
    assert [fields(one.packed)[0] for one in watch] == [rule.WATCH, rule.WATCH, rule.DIRECTORY]
    assert [one.paths for one in never] == [(str(tmp_path / "real"),)]
    assert [one.paths for one in other] == [(str(tmp_path / "real"),)]


def test_links_in_a_circle_and_paths_of_nothing_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert len(places.forms_of(read(f"-w {tmp_path}/a -p w"))) <= places.MAX_FORMS
    assert not places.forms_of(read(f"-w {tmp_path}/no/where -p w"))[0].possible
