"""Members of archives: of every writer, in one another, and whatever an archive says of itself."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_endpoint.files.archives import members as room
from mig_endpoint.files.archives.blob import FileBlob, MemoryBlob
from mig_endpoint.files.archives.member import DamagedArchive, Member
from mig_endpoint.files.archives.members import Members
from mig_endpoint.files.archives.zipfiles import list_of_members, zip_members
from mig_endpoint.files.interruptions import DeadlinePassed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.coverage import Reason


def _members(data: bytes, expired: Callable[[], bool] = lambda: False) -> tuple[list[Member], list[tuple[Reason, str]]]:
    skipped: list[tuple[Reason, str]] = []
    fd = os.memfd_create("archive")
    try:
        os.write(fd, data)
        found = Members(expired, lambda reason, inner: skipped.append((reason, inner)))
        return list(found.of_file(FileBlob(fd, len(data)))), skipped
    finally:
        os.close(fd)


def _names(data: bytes) -> list[str]:
    found, skipped = _members(data)
    assert skipped == []
    return [one.name for one in found]


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _tar(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), 1_600_000_000, 0o640
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


FILES = {"a.txt": b"alpha", "d/b.class": b"x" * 3000, "d/": b"", "café": b"", "x" * 90 + "/" + "y" * 90: b"long"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_members_of_a_zip_file_are_those_of_its_list(method: int) -> None:
    found, _ = _members(_zip(FILES, method))

    assert [one.name for one in found] == list(FILES)
    assert [one.size for one in found] == [len(content) for content in FILES.values()]
    assert [stat.S_ISDIR(one.mode) for one in found] == [name.endswith("/") for name in FILES]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_the_members_of_a_tar_file_are_those_of_its_headers(form: int, compress: Callable[[bytes], bytes]) -> None:
    found, skipped = _members(compress(_tar(FILES, form)))

    assert [one.name.rstrip("/") for one in found] == [name.rstrip("/") for name in FILES]
    assert [one.size for one in found] == [len(content) for content in FILES.values()]
    assert found[0].mode == stat.S_IFREG | 0o640
    assert found[0].modified == 1_600_000_000 * 10**9
    assert skipped == []


def test_every_kind_of_entry_of_a_tar_file_is_told() -> None:
    stream = io.BytesIO()
    kinds = {"f": tarfile.REGTYPE, "h": tarfile.LNKTYPE, "l": tarfile.SYMTYPE, "c": tarfile.CHRTYPE,
             "b": tarfile.BLKTYPE, "d": tarfile.DIRTYPE, "p": tarfile.FIFOTYPE}  # fmt: skip
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "f" if name in "hl" else ""
            archive.addfile(info)

    found, _ = _members(stream.getvalue())

    assert {one.name.rstrip("/"): stat.S_IFMT(one.mode) for one in found} == {
        "f": stat.S_IFREG, "h": stat.S_IFREG, "l": stat.S_IFLNK, "c": stat.S_IFCHR, "b": stat.S_IFBLK,
        "d": stat.S_IFDIR, "p": stat.S_IFIFO,
    }  # fmt: skip


def test_a_program_in_front_of_a_zip_file_hides_nothing() -> None:
    assert _names(b"#!/bin/sh\nexec java -jar $0\n" * 50 + _zip({"a": b"1", "b.jar": _zip({"c": b""})})) == [
        "a", "b.jar", "b.jar!c"
    ]  # fmt: skip


def test_a_comment_behind_a_zip_file_hides_nothing() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("inside", b"")
        archive.comment = b"c" * 60_000

    assert _names(stream.getvalue()) == ["inside"]


def test_more_members_than_the_old_format_counts_are_all_there() -> None:
    data = _zip({f"m{number}": b"" for number in range(70_000)}, zipfile.ZIP_STORED)

    found, skipped = _members(data)

    assert len(found) == 70_000
    assert skipped == []


def test_large_sizes_and_unix_times_come_from_the_extra_fields() -> None:
    extra = struct.pack("<HHQ", 1, 8, 5 << 32) + struct.pack("<HHBi", 0x5455, 5, 1, 1_500_000_000)
    head = (b"PK\1\2", 45, 3, 45, 0, 0, 0, 0, 0, 0, 0xFFFFFFFF, 1, len(extra), 0, 0, 0, (stat.S_IFREG | 0o755) << 16, 0)
    entry = struct.pack("<4sBBHHHHHIIIHHHHHII", *head) + b"n" + extra
    data = entry + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(entry), 0, 0)

    ((name, mode, size, modified, *_),) = _members(data)[0]

    assert (name, mode, size, modified) == ("n", stat.S_IFREG | 0o755, 5 << 32, 1_500_000_000 * 10**9)


def test_archives_in_archives_are_looked_into_stored_or_deflated() -> None:
    inner = _zip({"org/Evil.class": b"x"})
    data = _zip({"lib/stored.jar": _zip({"deep.war": inner}, zipfile.ZIP_STORED)}, zipfile.ZIP_STORED)
    deflated = _zip(
        {"lib/deflated.JAR": inner, "t.tar": _tar({"in/t.jar": inner}), "t.tgz": gzip.compress(_tar({"g.zip": inner}))}
    )

    assert _names(data) == [
        "lib/stored.jar", "lib/stored.jar!deep.war", "lib/stored.jar!deep.war!org/Evil.class"
    ]  # fmt: skip
    assert _names(deflated) == [
        "lib/deflated.JAR", "lib/deflated.JAR!org/Evil.class",
        "t.tar", "t.tar!in/t.jar", "t.tar!in/t.jar!org/Evil.class",
        "t.tgz", "t.tgz!g.zip", "t.tgz!g.zip!org/Evil.class",
    ]  # fmt: skip


def test_a_file_that_only_has_the_letters_of_a_zip_file_is_none() -> None:
    assert _members(b"text PK\5\6 more text " * 100) == ([], [])
    assert _members(b"") == ([], [])
    assert _members(b"\0" * 2000) == ([], [])
    assert _members(gzip.compress(b"no tar file at all")) == ([], [])


def test_what_is_damaged_is_said_and_what_came_before_counts() -> None:
    whole = _zip({f"m{number}": b"" for number in range(9)})
    place = whole.rfind(b"PK\1\2")
    tar = _tar({"a": b"", "b": b""})

    found, skipped = _members(whole[:place] + b"XXXX" + whole[place + 4 :])
    from_tar, of_tar = _members(tar[:512] + b"?" * 512 + tar[1024:])

    assert [one.name for one in found] == [f"m{number}" for number in range(8)]
    assert [reason for reason, _ in skipped] == [room.DAMAGED]
    assert [one.name for one in from_tar] == ["a"]
    assert [reason for reason, _ in of_tar] == [room.DAMAGED]


def test_a_zip_file_at_the_end_of_a_tar_file_hides_none_of_it() -> None:
    assert _names(_tar({"first": b"1", "last.jar": _zip({"in": b""})})) == ["first", "last.jar", "last.jar!in"]


def test_a_damaged_inner_archive_costs_only_itself() -> None:
    damaged = bytearray(_zip({"x": b"y" * 1000}))
    data = _zip({"bad.zip": bytes(damaged[:40]), "good.zip": _zip({"seen": b""})})

    assert [one.name for one in _members(data)[0]] == ["bad.zip", "good.zip", "good.zip!seen"]


def test_what_is_packed_too_deep_or_too_large_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"core"
    for _ in range(8):
        data = _zip({"x.zip": data}, zipfile.ZIP_STORED)
    found, skipped = _members(data)

    assert len(found) == room.MAX_DEPTH
    assert [reason for reason, _ in skipped] == [room.TOO_DEEP]

    monkeypatch.setattr(room, "MAX_HELD", 1000)
    _, skipped = _members(_zip({"big.zip": bytes(5000)}))
    assert [reason for reason, _ in skipped] == [room.TOO_LARGE]

    monkeypatch.setattr(room, "MAX_MEMBERS", 3)
    found, skipped = _members(_zip({f"m{number}": b"" for number in range(9)}))
    assert len(found) == 3
    assert [reason for reason, _ in skipped] == [room.TOO_MANY]


def test_what_cannot_be_unpacked_is_said() -> None:
    _, skipped = _members(_zip({"x.zip": _zip({"a": b""})}, zipfile.ZIP_BZIP2))

    assert skipped == [(room.NOT_UNPACKED, "x.zip")]


def test_time_that_runs_out_stops_the_list() -> None:
    with pytest.raises(DeadlinePassed):
        _members(_zip({f"m{number}": b"" for number in range(2000)}), lambda: True)


BASES = [
    _zip({"a.jar": _zip({"b": b"c"}), "d": b"e" * 300}),
    _tar({"a.zip": _zip({"b": b""}), "c": b"d" * 600}),
    gzip.compress(_tar({"a": b"b"})),
]


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=400),
    place=st.integers(0, 3000),
    base=st.sampled_from(BASES),
)
def test_no_file_makes_it_fail(data: bytes, place: int, base: bytes) -> None:
    place %= len(base)

    _members(base[:place] + data + base[place + len(data) :])
    _members(data)


def test_a_list_is_read_piece_by_piece() -> None:
    data = _zip({f"{number:06}" + "n" * 60_000: b"" for number in range(20)}, zipfile.ZIP_STORED)

    assert list_of_members(MemoryBlob(data)) is not None
    assert len(list(zip_members(MemoryBlob(data)))) == 20
    with pytest.raises(DamagedArchive):
        broken = bytearray(data)
        broken[data.rfind(b"PK\1\2") : data.rfind(b"PK\1\2") + 4] = b"none"
        list(zip_members(MemoryBlob(bytes(broken))))
