"""The index of plugins' words: true at once after every change, and never somebody else's."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from mig_core.plugin.index import installed_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of ``sys.path``; nothing in it counts as fresh."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    monkeypatch.setattr("mig_core.plugin.registered.FRESH", -60.0)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An investigator's own folder for caches."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def words(cache: Path) -> Callable[[], dict[str, str]]:
    """Name -> summary of what is installed, as one command of ``mig`` sees it."""
    return lambda: {one.name: one.summary for one in installed_words({"XDG_CACHE_HOME": str(cache)})}


def install(site: Path, name: str, version: str = "1.0", summary: str = "sums up", words: str = "") -> Path:
    info = site / f"mig_plugin_{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mig-plugin-{name}\nSummary: {summary}\n\nx: y\n")
    (info / "entry_points.txt").write_text(f"[mig.modules]\n{words or name} = mig_{name}:It\n[other]\nnot = seen:Me\n")
    return info


def remembered(cache: Path) -> Path:
    (file,) = (cache / "mig").iterdir()
    return file


def spoiled(cache: Path) -> None:
    """Has the index claim what is not installed; whoever believes it says so."""
    file = remembered(cache)
    document = json.loads(file.read_bytes())
    document["entries"] = [["mig.modules", "claimed", "evil:It", "evil", "believed"]]
    file.write_text(json.dumps(document))


def test_what_is_installed_is_remembered_and_believed(
    site: Path, cache: Path, words: Callable[[], dict[str, str]]
) -> None:
    install(site, "one")
    first = words()

    spoiled(cache)

    assert first == {"one": "sums up"}
    assert words() == {"claimed": "believed"}


@pytest.mark.parametrize("change", ["install", "upgrade", "upgrade in place", "edit", "remove", "uninstall a file"])
def test_every_change_of_what_is_installed_is_seen_at_once(
    change: str, site: Path, words: Callable[[], dict[str, str]]
) -> None:
    info = install(site, "one")
    install(site, "two")
    assert set(words()) == {"one", "two"}

    if change == "install":
        install(site, "three")
    elif change == "upgrade":
        shutil.rmtree(info)
        install(site, "one", "1.1", words="uno")
    elif change == "upgrade in place":  # as dpkg does: the same folder, other files
        fresh = info / "entry_points.txt.dpkg-new"
        fresh.write_text("[mig.modules]\nuno = mig_one:It\n")
        fresh.replace(info / "entry_points.txt")
    elif change == "edit":
        before = (info / "entry_points.txt").stat()
        (info / "entry_points.txt").write_text("[mig.modules]\nuno = mig_one:It\n[other]\nnot = seen:Me\n")
        os.utime(info / "entry_points.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "remove":
        shutil.rmtree(info)
    else:
        (info / "entry_points.txt").unlink()

    renamed = {"two", "uno"}
    expected = {"install": {"one", "two", "three"}, "remove": {"two"}, "uninstall a file": {"two"}}
    assert set(words()) == expected.get(change, renamed)


def test_a_change_that_could_bear_the_same_time_is_not_taken_for_none(
    site: Path, cache: Path, words: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mig_core.plugin.registered.FRESH", 2.0)
    install(site, "one")

    assert set(words()) == {"one"}
    assert not (cache / "mig").exists()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"form": 1}', b'{"form": 1, "state": 7, "entries": []}', b"\xff"]
)
def test_a_damaged_index_is_made_anew(
    damage: bytes, site: Path, cache: Path, words: Callable[[], dict[str, str]]
) -> None:
    install(site, "one")
    words()
    remembered(cache).write_bytes(damage)

    assert set(words()) == {"one"}
    assert json.loads(remembered(cache).read_bytes())["entries"]


@pytest.mark.parametrize(
    "place",
    ["file others can write", "folder others can write", "cache others can write", "link", "folder is a link", "pipe"],
)
def test_an_index_that_somebody_else_could_have_written_is_not_believed(
    place: str, site: Path, cache: Path, words: Callable[[], dict[str, str]], tmp_path: Path
) -> None:
    install(site, "one")
    words()
    spoiled(cache)
    file = remembered(cache)

    if place == "file others can write":
        file.chmod(0o620)
    elif place == "folder others can write":
        file.parent.chmod(0o770)
    elif place == "cache others can write":
        cache.chmod(0o777)
    elif place == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif place == "folder is a link":
        file.parent.rename(tmp_path / "elsewhere")
        (cache / "mig").symlink_to(tmp_path / "elsewhere")
    else:
        file.unlink()
        os.mkfifo(file)

    assert set(words()) == {"one"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("whose", ["file", "folder", "cache"])
def test_an_index_of_another_user_is_not_believed(
    whose: str, site: Path, cache: Path, words: Callable[[], dict[str, str]]
) -> None:
    install(site, "one")
    words()
    spoiled(cache)
    file = remembered(cache)

    os.chown({"file": file, "folder": file.parent, "cache": cache}[whose], 12345, 12345)

    assert set(words()) == {"one"}


def test_without_a_place_to_write_everything_is_found_all_the_same(site: Path, tmp_path: Path) -> None:
    install(site, "one")
    (tmp_path / "file").write_text("")

    for place in (str(tmp_path / "file"), str(tmp_path / "missing" / "deeper"), "/proc"):
        assert [one.name for one in installed_words({"XDG_CACHE_HOME": place})] == ["one"]


def test_a_plugin_in_an_archive_is_found_and_nothing_remembered(
    site: Path, cache: Path, words: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = tmp_path / "plugins.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(
            "mig_plugin_zip-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: mig-plugin-zip\nVersion: 1\n"
        )
        file.writestr("mig_plugin_zip-1.dist-info/entry_points.txt", "[mig.modules]\nzipped = mig_zip:It\n")
    install(site, "one")
    monkeypatch.setattr(sys, "path", [str(site), str(archive)])

    assert set(words()) == {"one", "zipped"}
    assert not (cache / "mig").exists()


def test_another_path_is_another_index(
    site: Path, words: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(site, "one")
    words()
    (other := tmp_path / "other").mkdir()
    install(other, "two")

    monkeypatch.setattr(sys, "path", [str(other)])

    assert set(words()) == {"two"}
