"""Telling containers from control groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_endpoint.processes.container import container_of

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("cgroup", "container"),
    [
        (f"0::/system.slice/docker-{ID}.scope\n", "docker:0123456789ab"),
        (f"12:pids:/docker/{ID}\n0::/\n", "docker:0123456789ab"),
        (f"0::/kubepods.slice/pod1/cri-containerd-{ID}.scope\n", "containerd:0123456789ab"),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", "libpod:0123456789ab"),
        (f"0::/../{ID}\n", "container:0123456789ab"),
        ("0::/lxc.payload.web1/init.scope\n", "lxc:web1"),
        ("0::/lxc/web1\n", "lxc:web1"),
        ("0::/machine.slice/machine-web1.scope/payload\n", "machine:web1"),
        ("0::/user.slice/user-1000.slice/session-1.scope\n", ""),
        ("0::/\n", ""),
        ("", ""),
    ],
)
def test_a_container_is_told_from_the_control_group(cgroup: str, container: str) -> None:
    assert container_of(cgroup.encode()) == container


@given(cgroup=st.binary(max_size=200))
def test_any_control_group_can_be_read(cgroup: bytes) -> None:
    assert isinstance(container_of(cgroup), str)
