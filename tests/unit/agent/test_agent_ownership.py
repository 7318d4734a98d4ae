"""Whose files the agent believes: owners, folders on the way, links, access lists."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from mig_core.agent.ownership import check_ownership, fault_of, faults
from mig_core.config.agent import AgentSettings, PlatformSettings, TrustSettings
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534
OURS = (0, os.geteuid())
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def settings(tmp_path: Path) -> AgentSettings:
    """An endpoint where all is as it should be, all modes said."""
    tmp_path.chmod(0o755)
    etc = tmp_path / "etc"
    (etc / "keys").mkdir(parents=True)
    (etc / "keys" / "alice.asc").write_text("key")
    (etc / "acl.json").write_text("{}")
    (etc / "agent.toml").write_text("")
    (etc / "secret").write_text("x")
    for path in (etc / "keys" / "alice.asc", etc / "acl.json", etc / "agent.toml"):
        path.chmod(0o644)
    (etc / "secret").chmod(0o600)
    (tmp_path / "state").mkdir(mode=0o700)
    return AgentSettings(
        state=tmp_path / "state",
        trust=TrustSettings(keys=etc / "keys", acl=etc / "acl.json"),
        platform=PlatformSettings(enrolment_secret_file=etc / "secret"),
    )


def told(settings: AgentSettings) -> dict[str, str]:
    file = settings.trust.acl.parent / "agent.toml"
    return {fault.path.name: fault.problem for fault in faults(settings, file)}


def test_a_sound_endpoint_has_no_fault(settings: AgentSettings) -> None:
    assert told(settings) == {}
    check_ownership(settings, settings.trust.acl.parent / "agent.toml")


@pytest.mark.parametrize("name", ["agent.toml", "acl.json", "keys", "keys/alice.asc"])
@pytest.mark.parametrize("bits", [0o020, 0o002])
def test_what_others_may_write_keeps_the_agent_from_starting(name: str, bits: int, settings: AgentSettings) -> None:
    path = settings.trust.acl.parent / name
    path.chmod(path.stat().st_mode | bits)

    assert told(settings)[path.name] == "others may write it"
    with pytest.raises(ConfigurationError, match="others may write it"):
        check_ownership(settings, settings.trust.acl.parent / "agent.toml")


@as_root
@pytest.mark.parametrize("name", ["agent.toml", "acl.json", "keys", "keys/alice.asc", "."])
def test_what_belongs_to_somebody_else_keeps_the_agent_from_starting(name: str, settings: AgentSettings) -> None:
    path = settings.trust.acl.parent / name
    os.chown(path, NOBODY, NOBODY)

    with pytest.raises(ConfigurationError, match="belongs to nobody"):
        check_ownership(settings, settings.trust.acl.parent / "agent.toml")


@as_root
def test_an_account_that_the_owner_names_may_own_them(settings: AgentSettings) -> None:
    os.chown(settings.trust.acl, NOBODY, NOBODY)
    trust = TrustSettings(keys=settings.trust.keys, acl=settings.trust.acl, owners=("nobody",))
    by_number = TrustSettings(keys=settings.trust.keys, acl=settings.trust.acl, owners=(str(NOBODY),))

    assert told(settings)
    for one in (trust, by_number):
        assert told(AgentSettings(state=settings.state, trust=one)) == {}


def test_an_account_that_does_not_exist_is_named(settings: AgentSettings) -> None:
    trust = TrustSettings(owners=("no-such-account",))

    with pytest.raises(ConfigurationError, match="no account no-such-account"):
        check_ownership(AgentSettings(state=settings.state, trust=trust), None)


def test_a_folder_on_the_way_that_others_may_write_is_named_unless_its_sticky_bit_is_set(
    settings: AgentSettings, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    assert told(settings)[tmp_path.name] == "others may write it"

    tmp_path.chmod(0o1777)

    assert told(settings) == {}


def test_a_link_is_followed_and_the_folder_it_stands_in_counts_too(settings: AgentSettings, tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    link = open_folder / "acl.json"
    link.symlink_to(settings.trust.acl)
    assert fault_of(link, OURS) is None

    open_folder.chmod(0o777)
    assert fault_of(link, OURS) == (open_folder, "others may write it")
    open_folder.chmod(0o755)
    settings.trust.acl.chmod(0o666)
    assert fault_of(link, OURS) == (link, "others may write it")


def test_an_access_list_that_lets_a_named_account_write_shows_in_the_groups_bits(settings: AgentSettings) -> None:
    entries = [(1, 6, -1), (2, 6, NOBODY), (4, 4, -1), (16, 6, -1), (32, 4, -1)]  # acl(5): owner, nobody, group, mask
    raw = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *one) for one in entries)
    try:
        os.setxattr(settings.trust.acl, "system.posix_acl_access", raw)
    except OSError as error:
        pytest.skip(f"no access lists on this file system: {error}")

    assert told(settings) == {"acl.json": "others may write it"}


def test_a_secret_that_others_may_read_is_named_and_does_not_keep_the_agent_from_starting(
    settings: AgentSettings,
) -> None:
    secret = settings.trust.acl.parent / "secret"
    secret.chmod(0o644)

    assert told(settings) == {"secret": "others may read this secret; chmod 600 it"}
    check_ownership(settings, None)


@as_root
def test_a_state_directory_of_another_account_is_refused(settings: AgentSettings) -> None:
    os.chown(settings.state, NOBODY, NOBODY)

    assert "belongs to nobody" in told(settings)["state"]
    os.chown(settings.state, 0, 0)
    settings.state.chmod(0o755)
    assert told(settings)["state"] == "others may read the state directory"
