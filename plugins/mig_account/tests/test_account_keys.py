"""Which keys open an account: the configuration as sshd -T -C resolves it, lines and files as real logins showed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_account.directory import Directory
from mig_account.ground import Ground
from mig_account.sshd_config import SshdConfig
from mig_account.sshd_running import configurations
from mig_core.plugin.coverage import Tally
from mig_core.testing.ports import free_port

if TYPE_CHECKING:
    from mig_endpoint.testing.systems import System

SSHD = Path("/usr/sbin/sshd")
PEER = pytest.mark.skipif(os.geteuid() != 0 or not SSHD.exists(), reason="needs root, and sshd to compare with")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PASSWD = (
    "root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\nada:x:1001:1001::/home/ada:/bin/sh\n"
    "sshd:x:106:65534::/run/sshd:/usr/sbin/nologin\n"
)
ED = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
KEY = f"ssh-ed25519 {ED} somebody"


@pytest.fixture(autouse=True)
def files(system: System) -> None:
    system.write("/etc/passwd", PASSWD)
    system.write("/etc/group", "root:x:0:\nbob:x:1000:\nada:x:1001:\nstaff:x:50:ada\n")
    system.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\n")
    lines = [f"{name}:*:20000:0:99999:7:::" for name in ("root", "bob", "ada", "sshd")]
    system.write("/etc/shadow", "\n".join(lines))
    system.write("/bin/sh", "", 0o755)
    system.write("/etc/ssh/sshd_config", "UsePAM yes\n")


CONFIGS = {
    "first value counts": "PermitRootLogin no\nPermitRootLogin yes\nAuthorizedKeysFile /a/%u /b\nAuthorizedKeysFile /c",
    "lists are added to": "AllowUsers bob\nAllowUsers ada root\nDenyGroups x\nDenyGroups y\n",
    "a match replaces lists": "AllowUsers bob\nMatch User ada\nAllowUsers root\nAllowUsers eve\n",
    "a match beats an earlier line": "AuthorizedKeysFile /a\nMatch User ada\n  AuthorizedKeysFile /b\n"
    "Match Group staff\n  AuthorizedKeysFile /c\n  PermitRootLogin yes\n",
    "a match in front of a line": "Match User ada\nAuthorizedKeysFile /b\nMatch all\nAuthorizedKeysFile /a\n",
    "negation": "Match User *,!ada\nPermitRootLogin no\nMatch Group !staff,*\nPubkeyAuthentication no\n",
    "several criteria": "Match User ada Group staff\nPermitRootLogin yes\nMatch User ada Group x\nPermitRootLogin no",
    "an include under a match": "Match User bob\nInclude inc.conf\nAuthorizedKeysFile /b\n",
    "an include in front": "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin forced-commands-only\n",
    "equals signs and quotes": 'PermitRootLogin=no\nAuthorizedKeysFile "/a b" /c # end\n  strictModes = no\n',
    "command": "AuthorizedKeysCommand /usr/bin/x %u\nAuthorizedKeysCommandUser nobody\nTrustedUserCAKeys /etc/ssh/ca\n",
    "methods": "AuthenticationMethods publickey,password publickey\nAuthenticationMethods password\n",
}
COMPARED = (
    "allowusers", "authenticationmethods", "authorizedkeyscommand", "authorizedkeyscommanduser", "authorizedkeysfile",
    "authorizedprincipalsfile", "denygroups", "permitrootlogin", "pubkeyauthentication", "strictmodes",
    "trustedusercakeys", "usepam",
)  # fmt: skip


@PEER
@pytest.mark.parametrize("name", CONFIGS)
def test_what_holds_for_a_user_is_what_sshd_says(name: str, system: System) -> None:
    _host_key(system)
    system.write(
        "/etc/ssh/sshd_config", CONFIGS[name] + "\nHostKey /etc/ssh/host_key\n" * ("Match" not in CONFIGS[name])
    )
    system.write("/etc/ssh/inc.conf", "PermitRootLogin no\nMatch User *\nPubkeyAuthentication no\n")
    system.write("/etc/ssh/sshd_config.d/10-a.conf", "PermitRootLogin no\nMatch User bob\nAuthorizedKeysFile /x\n")
    system.write("/etc/ssh/sshd_config.d/20-b.conf", "PubkeyAuthentication no\n")
    system.write("/etc/ssh/sshd_config.d/.hidden.conf", "UsePAM yes\n")
    ground = Ground.below(str(system.root), Tally(), lambda: False, 0)
    directory = Directory(ground)
    config = SshdConfig(ground, directory, "/etc/ssh/sshd_config")

    for user in ("root", "bob", "ada"):
        case = config.cases(directory.by_name[user])[0]

        said = _said_by_sshd(system, user)
        ours = {keyword: " ".join(case.words(keyword)) for keyword in COMPARED}
        ours["permitrootlogin"] = ours["permitrootlogin"].replace("prohibit-password", "without-password")
        assert {one: text for one, text in ours.items() if text} == said


def _host_key(system: System) -> None:
    (system.root / "etc/ssh").mkdir(parents=True, exist_ok=True)
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(system.root / "etc/ssh/host_key")]
    subprocess.run(words, check=True)
    shutil.copy(system.root / "etc/ssh/host_key", system.root / "etc/ssh/ssh_host_ed25519_key")


def _said_by_sshd(system: System, user: str) -> dict[str, str]:
    where = f"user={user},host=other.example.org,addr=203.0.113.9"
    script = f"mount -t tmpfs none /run && mkdir /run/sshd && exec {SSHD} -T -C {where}"
    found: dict[str, list[str]] = {}
    for line in system.within("sh", "-c", script).splitlines():
        keyword, _, text = line.partition(" ")
        if keyword in COMPARED:
            found.setdefault(keyword, []).append(text)
    return {keyword: " ".join(texts) for keyword, texts in found.items()}


def keys(system: System, **filters: Any) -> list[dict[str, Any]]:
    return system.rows(ask=["keys"], **filters)


def authorize(system: System, content: str | bytes, user: str = "bob", uid: int = 1000, mode: int = 0o600) -> Path:
    place = system.write(f"/home/{user}/.ssh/authorized_keys", content, mode)
    for one in (place, place.parent, place.parent.parent):
        if os.geteuid() == 0:
            os.chown(one, uid, uid)
    return place


@ROOT
@pytest.mark.parametrize(
    ("line", "opens"),
    [
        (KEY, True),
        (f" \t {KEY}", True),
        (f"no-pty,COMMAND=\"a \\\"b\\\" c\",No-X11-Forwarding {KEY}", True),
        (f"{KEY}\r", True),
        (f"{KEY} # a comment", True),
        (f'expiry-time="20990101" {KEY}', True),
        (f'from="127.0.0.0/8,!10.0.0.1" {KEY}', True),
        (f"foo {KEY}", False),
        (f'expiry-time="20200101" {KEY}', False),
        (f'from="!10.0.0.1" {KEY}', False),
        (f'from="127.0.0.1/8" {KEY}', False),
        (f'command="a",command="b" {KEY}', False),
        (f'principals="bob" {KEY}', False),
    ],
)  # fmt: skip
def test_a_line_opens_the_account_as_it_does_at_a_real_login(line: str, system: System, *, opens: bool) -> None:
    authorize(system, f"{line}\n")

    (row,) = keys(system)

    assert (row["name"], row["opens"], row["kind"]) == ("bob", opens, "key")
    assert row.get("odd", []) == [] if opens else row["odd"]


@ROOT
@pytest.mark.parametrize(
    "line", [f"no-pty, no-x11-forwarding {KEY}", f"ssh-rsa {ED}", KEY.replace(ED, f"{ED}="), f"\0{KEY}"]
)
def test_a_line_that_sshd_does_not_understand_is_counted_and_no_row(line: str, system: System) -> None:
    authorize(system, f"{line}\n{KEY}\n")

    result = system.ask(ask=["keys"])

    assert [one["line"] for one in system.module.rows(result)] == [2]
    assert not result.coverage.complete


@ROOT
@pytest.mark.parametrize(
    ("uid", "gid", "mode", "opens"),
    [
        (1000, 1000, 0o600, True),
        (1000, 1000, 0o660, True),
        (1000, 50, 0o660, False),
        (1000, 1000, 0o606, False),
        (1001, 1001, 0o644, False),
        (0, 0, 0o644, True),
        (0, 0, 0o600, False),
    ],
)
def test_a_file_is_read_by_sshd_or_not_by_its_owner_and_mode(
    uid: int, gid: int, mode: int, system: System, *, opens: bool
) -> None:
    place = authorize(system, f"{KEY}\n", mode=mode)
    os.chown(place, uid, gid)

    (row,) = keys(system)

    assert row["opens"] is opens


@ROOT
def test_a_link_into_a_folder_that_everybody_may_write_to_is_refused(system: System) -> None:
    authorize(system, "")
    place = system.write("/tmp/keys", f"{KEY}\n")
    place.parent.chmod(0o1777)
    (system.root / "home/bob/.ssh/authorized_keys").unlink()
    (system.root / "home/bob/.ssh/authorized_keys").symlink_to("/tmp/keys")

    (row,) = keys(system)

    assert (row["opens"], row["odd"]) == (False, ["everybody may write: /tmp"])


@ROOT
@pytest.mark.parametrize(
    ("config", "shadow", "opens"),
    [
        ("UsePAM yes", "!", True),
        ("UsePAM yes", "*LK*", True),
        ("UsePAM no", "!", False),
        ("UsePAM no", "*", True),
        ("UsePAM yes\nPubkeyAuthentication no", "*", False),
        ("UsePAM yes\nDenyUsers b*", "*", False),
        ("UsePAM yes\nAllowUsers ada", "*", False),
        ("UsePAM yes\nAllowGroups bob", "*", True),
        ("UsePAM yes\nAuthenticationMethods publickey,password", "*", False),
        ("UsePAM yes\nAuthorizedKeysFile /etc/keys/%u", "*", None),
    ],
)
def test_whether_an_account_is_open_is_up_to_configuration_and_state(
    config: str, shadow: str, system: System, *, opens: bool | None
) -> None:
    system.write("/etc/ssh/sshd_config", f"{config}\n")
    system.write("/etc/shadow", f"bob:{shadow}:20000:0:99999:7:::\n")
    authorize(system, f"{KEY}\n")

    found = keys(system, name=["^bob$"])

    assert [one["opens"] for one in found] == ([] if opens is None else [opens])


@ROOT
@pytest.mark.parametrize(
    ("line", "opens", "odd"),
    [
        ("bob:*:20000:0:99999:7::0:", False, "the account has expired"),
        ("bob:*:20000:0:99999:7::-1:", False, "no line in shadow"),
        ("bob:*:20000:0:1:7:1::", False, "the account has expired"),
        ("bob:*:20000:0:99999:7::20776:", True, ""),
    ],
)
def test_an_expired_account_is_closed_for_keys_too(line: str, odd: str, system: System, *, opens: bool) -> None:
    system.write("/etc/shadow", f"{line}\n")
    authorize(system, f"{KEY}\n")

    (row,) = keys(system)

    assert (row["opens"], row.get("odd", [])) == (opens, [odd] if odd else [])


@ROOT
def test_a_shell_that_ends_at_once_leaves_forwarding_and_one_that_is_not_there_nothing(system: System) -> None:
    system.write("/usr/sbin/nologin", "", 0o755)
    authorize(system, f"{KEY}\n")
    system.write("/etc/passwd", "bob:x:1000:1000::/home/bob:/usr/sbin/nologin\neve:x:1000:1000::/home/bob:/gone\n")
    system.write("/etc/shadow", "bob:*:20000:0:99999:7:::\neve:*:20000:0:99999:7:::\n")

    bob, eve = keys(system)

    assert (bob["opens"], bob["odd"]) == (True, ["the shell ends at once: forwarding only"])
    assert (eve["opens"], eve["odd"]) == (False, ["the shell /gone is no program"])


@ROOT
def test_what_depends_on_where_somebody_comes_from_is_a_row_of_its_own(system: System) -> None:
    system.write(
        "/etc/ssh/sshd_config", "UsePAM yes\nMatch Address 10.0.0.0/8 User bob\nAuthorizedKeysFile /etc/keys/%u\n"
    )
    authorize(system, f"{KEY}\n")
    system.write("/etc/keys/bob", f"{KEY}\n")

    found = {one["path"]: (one.get("condition", ""), one["opens"]) for one in keys(system)}

    assert found == {
        "/home/bob/.ssh/authorized_keys": ("", True),
        "/etc/keys/bob": ("Address 10.0.0.0/8 User bob", True),
    }


@ROOT
def test_authorities_principals_and_commands_are_rows(system: System) -> None:
    config = (
        "UsePAM yes\nTrustedUserCAKeys /etc/ssh/ca.pub\nAuthorizedPrincipalsFile %h/.ssh/principals\n"
        "AuthorizedKeysCommand /usr/bin/keys %u\nAuthorizedKeysCommandUser nobody\nAuthorizedKeysFile none\n"
    )
    system.write("/etc/ssh/sshd_config", config)
    system.write("/etc/ssh/ca.pub", f"{KEY}\n")
    system.write("/home/bob/.ssh/principals", "# nobody\nadmin\n")

    result = system.ask(ask=["keys"])

    found = [one for one in system.module.rows(result) if one.get("name") in (None, "bob")]
    assert [(one["kind"], one.get("setting") or one.get("command") or one.get("path")) for one in found] == [
        ("authority", "/etc/ssh/ca.pub"),
        ("authorizedkeyscommand", "/usr/bin/keys %u"),
        ("principal", "admin"),
    ]
    assert "command that gives keys, which was not run" in [one.reason for one in result.coverage.skipped]


def test_the_key_in_a_userdb_record_opens_where_debian_s_command_is_set(system: System) -> None:
    system.write("/etc/nsswitch.conf", "passwd: files systemd\n")
    command = "AuthorizedKeysCommand /usr/bin/userdbctl ssh-authorized-keys %u\nAuthorizedKeysCommandUser root\n"
    system.write("/etc/ssh/sshd_config", f"UsePAM yes\n{command}")
    system.write("/etc/userdb/eve.user", '{"userName": "eve", "uid": 61999, "shell": "/bin/sh"}')
    system.write("/etc/userdb/eve.user-privileged", f'{{"privileged": {{"sshAuthorizedKeys": ["{KEY}"]}}}}', 0o600)

    (row,) = keys(system)

    assert (row["name"], row["opens"], row["path"]) == ("eve", True, "/etc/userdb/eve.user")


def test_lines_of_the_configuration_say_whether_they_count(system: System) -> None:
    system.write(
        "/etc/ssh/sshd_config", "PermitRootLogin no\nPermitRootLogin yes\nMatch User bob\nPermitRootLogin yes\n"
    )

    found = system.rows(ask=["sshd"])

    assert [(one["line"], one["in_force"], one.get("condition", "")) for one in found] == [
        (1, True, ""), (2, False, ""), (4, True, "User bob"),
    ]  # fmt: skip


@ROOT
def test_another_configuration_that_sshd_is_started_with_is_read_too(system: System) -> None:
    system.write("/etc/default/ssh", '# SSHD_OPTS="-f /etc/no"\nSSHD_OPTS="-f /etc/ssh/other -oPermitRootLogin=yes"\n')
    system.write("/etc/ssh/other", "UsePAM yes\nAuthorizedKeysFile /etc/keys/%u\n")
    system.write("/etc/keys/bob", f"{KEY}\n")
    authorize(system, f"{KEY}\n")

    result = system.ask(ask=["keys"])

    found = [(one["path"], one["opens"], one["configuration"]) for one in system.module.rows(result)]
    assert found == [
        ("/home/bob/.ssh/authorized_keys", True, "/etc/ssh/sshd_config"),
        ("/etc/keys/bob", True, "/etc/ssh/other"),
    ]
    assert not result.coverage.complete


@PEER
def test_a_running_sshd_s_configuration_is_found(tmp_path: Path) -> None:
    config = tmp_path / "sshd_config"
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    port = free_port()
    config.write_text(f"HostKey {key}\nListenAddress 127.0.0.1\nPort {port}\nPidFile none\n")
    script = f"mount -t tmpfs none /run && mkdir /run/sshd && exec {SSHD} -D -e -f {config}"
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        try:
            while "listening" not in (line := running.stderr.readline()):
                assert line, "sshd ended"

            paths = configurations(Ground.below("/", Tally(), lambda: False, 0))
        finally:
            running.terminate()

    assert str(config) in paths


@ROOT
def test_an_ordinary_user_does_not_know_what_opens_an_account(system: System, ordinary: Any) -> None:
    system.write("/etc/ssh/sshd_config.d/secret.conf", "PubkeyAuthentication no\n", 0o600)
    system.write("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile /etc/keys/%u\n")
    system.write("/etc/keys/bob", f"{KEY}\n")

    with ordinary():
        result = system.ask(ask=["keys"])

    (row,) = system.module.rows(result)
    assert (row["opens"], result.coverage.complete) == (None, False)


def test_files_that_include_themselves_end(system: System) -> None:
    system.write("/etc/ssh/sshd_config", "Include sshd_config\nInclude /etc/ssh/*\nPort 22\n")

    result = system.ask(ask=["sshd"])

    assert result.success
    assert not result.coverage.complete
