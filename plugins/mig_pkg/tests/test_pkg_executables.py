"""go and cargo: what programs say they were built from, in files made here and in real ones where there are some."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pathlib

MARK = bytes(range(16))
MODULES = (
    "path\texample.org/tool\n"
    "mod\texample.org/tool\tv1.2.4-0.20261128102117-19772f8bf509\t\n"
    "dep\tgolang.org/x/net\tv0.1.0\th1:abc=\n"
    "dep\texample.org/old\tv1.0.0\n"
    "=>\texample.org/fork\tv1.0.1\th1:def=\n"
    "build\t-compiler=gc\n"
)


def elf(**sections: bytes) -> bytes:
    """A 64-bit little-endian ELF file with these sections."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    body, headers = b"", struct.pack("<IIQQQQIIQQ", *[0] * 10)
    for name, content in (*sections.items(), (".shstrtab", names)):
        body += bytes(-len(body) % 16)
        where = names.find(b"\0" + name.encode() + b"\0") + 1
        headers += struct.pack("<IIQQQQIIQQ", where, 1, 0, 0, 64 + len(body), len(content), 0, 0, 16, 0)
        body += content
    count = len(sections) + 2
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64 + len(body), 0, 64, 56, 0, 64, count, count - 1)
    return head + body + headers


def text(content: bytes) -> bytes:
    length, out = len(content), b""
    while length >= 0x80:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length]) + content


def go_program(version: str = "go1.27.3", modules: str = MODULES) -> bytes:
    info = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    info += text(version.encode()) + text(MARK + modules.encode() + MARK)
    return elf(**{".go.buildinfo": info})


def rust_program(packages: list[dict[str, Any]]) -> bytes:
    return elf(**{".dep-v0": zlib.compress(json.dumps({"packages": packages}).encode())})


def test_the_modules_of_a_go_program_are_found_with_replacements_as_built(
    ask: Any, write: Any, tmp_path: pathlib.Path
) -> None:
    write("/srv/bin/tool", go_program())

    said = ask(".", types=["go"], paths=["/srv"], root=str(tmp_path))

    assert [(row["name"], row["version"]) for row in said.rows] == [
        ("stdlib", "1.27.3"),
        ("example.org/tool", "v1.2.4-0.20261128102117-19772f8bf509"),
        ("golang.org/x/net", "v0.1.0"),
        ("example.org/fork", "v1.0.1"),
    ]
    assert {row["path"] for row in said.rows} == {"/srv/bin/tool"}
    assert said.complete


@pytest.mark.parametrize(
    ("condition", "found"),
    [("<1.27.4", True), (">=1.27", True), ("<1.27rc1", False)],
)
def test_go_s_own_versions_are_compared(
    condition: str, found: bool, ask: Any, write: Any, tmp_path: pathlib.Path
) -> None:
    write("/srv/tool", go_program())

    said = ask("^stdlib$", version=condition, types=["go"], paths=["/srv/tool"], root=str(tmp_path))

    assert bool(said.names) is found
    assert said.complete


def test_a_main_module_built_outside_version_control_cannot_be_compared(
    ask: Any, write: Any, tmp_path: pathlib.Path
) -> None:
    write("/srv/tool", go_program(modules="mod\texample.org/tool\t(devel)\t\n"))

    said = ask("tool$", version="<1.2", types=["go"], paths=["/srv"], root=str(tmp_path))

    assert said.reasons == {"version could not be compared": 1}


def test_a_program_of_an_old_go_is_not_a_clean_one(ask: Any, write: Any, tmp_path: pathlib.Path) -> None:
    write("/srv/tool", elf(**{".go.buildinfo": b"\xff Go buildinf:" + bytes([8, 0]) + bytes(16)}))

    assert ask(".", types=["go"], paths=["/srv"], root=str(tmp_path)).reasons == {"record not understood": 1}


def test_the_crates_of_a_rust_program_are_found_without_those_only_its_build_used(
    ask: Any, write: Any, tmp_path: pathlib.Path
) -> None:
    packages = [
        {"name": "aes", "version": "0.8.4", "source": "crates.io"},
        {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
    ]
    write("/srv/lib.so", rust_program(packages))

    said = ask(".", types=["cargo"], paths=["/srv"], root=str(tmp_path))

    assert [(row["name"], row["version"], row["type"]) for row in said.rows] == [("aes", "0.8.4", "cargo")]
    assert said.complete


@pytest.mark.parametrize(
    "content",
    [b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 90, elf(**{".dep-v0": b"not zlib"}), rust_program([{"name": "x"}])],
)
def test_a_damaged_program_is_said(content: bytes, ask: Any, write: Any, tmp_path: pathlib.Path) -> None:
    write("/srv/tool", content)

    assert ask(".", types=["cargo"], paths=["/srv"], root=str(tmp_path)).reasons == {"record not understood": 1}


def test_other_files_and_links_are_no_programs(ask: Any, write: Any, tmp_path: pathlib.Path) -> None:
    write("/srv/notes", "text")
    write("/elsewhere/tool", go_program())
    (tmp_path / "srv/link").symlink_to(tmp_path / "elsewhere/tool")

    said = ask(".", types=["go", "cargo"], paths=["/srv"], root=str(tmp_path))

    assert said.names == []
    assert said.complete


def test_programs_are_looked_for_below_a_path_only(ask: Any) -> None:
    with pytest.raises(Exception, match="below a path only"):
        ask(".", types=["go"])


@pytest.mark.parametrize("program", ["runc", "docker", "containerd"])
def test_a_real_go_program_names_its_toolchain(program: str, ask: Any) -> None:
    place = shutil.which(program)
    if place is None:
        pytest.skip(f"{program} is not installed")

    said = ask("^stdlib$", types=["go"], paths=[place])

    assert said.rows[0]["version"].startswith("1.")
    assert said.complete


def far(program: bytes, place: int) -> bytes:
    """The program, its first section's content said to lie elsewhere."""
    (headers,) = struct.unpack_from("<Q", program, 40)
    return program[: headers + 64 + 24] + struct.pack("<Q", place) + program[headers + 64 + 32 :]


@pytest.mark.parametrize("kind", ["go", "cargo"])
@pytest.mark.parametrize("place", [1 << 63, (1 << 64) - 1, 1 << 40])
def test_a_section_outside_of_the_file_is_damage_and_breaks_nothing_off(
    kind: str, place: int, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    program = go_program() if kind == "go" else rust_program([{"name": "a", "version": "1"}])
    write("/bin/far", far(program, place))
    write("/bin/tool", program)

    said = ask(".", root=str(tmp_path), types=[kind], paths=["/bin"])

    assert said.result.success
    assert said.names
    assert said.reasons == {"record not understood": 1}


@pytest.mark.parametrize("length", [b"\xff" * 9 + b"\x7f", b"\xff\xff\x7f", b"\xff" * 10, b"\0"])
def test_a_text_of_modules_of_impossible_length_is_damage(
    length: bytes, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    info = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    write("/bin/version", elf(**{".go.buildinfo": info + length + b"go1.27"}))
    write("/bin/modules", elf(**{".go.buildinfo": info + text(b"go1.27") + length + b"mod"}))

    said = ask(".", root=str(tmp_path), types=["go"], paths=["/bin"])

    assert said.result.success
    assert not said.complete


def test_a_module_that_is_called_like_none_is_booked(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/bin/tool", go_program(modules="dep\ta\x1bb\tv1\ndep\texample.org/c\tv2\n"))

    said = ask("example", root=str(tmp_path), types=["go"], paths=["/bin"])

    assert said.names == ["example.org/c"]
    assert not said.complete


CRATES = """[v1]
"hexyl 0.16.0 (registry+https://github.com/rust-lang/crates.io-index)" = ["hexyl"]
"hello-mig 0.3.1-rc.1+x (path+file:///home/me/a b)" = [
    "one",
    "two",
]
"""


def test_what_cargo_install_has_noted_is_found(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/root/.cargo/.crates.toml", CRATES)
    write("/root/.cargo/bin/hexyl", b"\x7fELF")

    said = ask(".", version="<0.17", types=["cargo"], paths=["/root"], root=str(tmp_path))

    assert [(row["name"], row["version"], row["path"]) for row in said.rows] == [
        ("hello-mig", "0.3.1-rc.1+x", "/root/.cargo/.crates.toml"),
        ("hexyl", "0.16.0", "/root/.cargo/.crates.toml"),
    ]
    assert ask(".", types=["cargo"], paths=["/root/.cargo/.crates.toml"], root=str(tmp_path)).names == [
        "hello-mig",
        "hexyl",
    ]


@pytest.mark.parametrize("content", ["", "{}", "[v1]\nnonsense\n", '[v1]\n"name-alone" = []\n'])
def test_a_note_of_cargo_s_that_is_none_is_said(content: str, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/opt/tools/.crates.toml", content)

    said = ask(".", types=["cargo"], paths=["/opt"], root=str(tmp_path))

    assert said.reasons == {"record not understood": 1}
