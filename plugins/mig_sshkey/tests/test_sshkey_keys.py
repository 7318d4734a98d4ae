"""Keys that ssh-keygen, OpenSSL and PuTTY make, held against what ssh-keygen says of them."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_core.plugin.module import Context
from mig_endpoint.ssh.blob import NotAKey
from mig_sshkey import SshkeyModule, keyfile

if TYPE_CHECKING:
    import pathlib

    from mig_core.domain.result import ModuleResult

MODULE = SshkeyModule()
pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def ask(path: pathlib.Path, **keys: Any) -> ModuleResult:
    parameters = MODULE.parse_parameters({"paths": [str(path)], **keys})
    return MODULE.run(parameters, Context(deadline=time.monotonic() + 30))


def rows(path: pathlib.Path, **keys: Any) -> list[dict[str, Any]]:
    return rows_in(ask(path, **keys))


def rows_in(result: ModuleResult) -> list[dict[str, Any]]:
    return list(MODULE.rows(result))


def run(*words: str | pathlib.Path, stdin: str = "") -> str:
    return subprocess.run(words, input=stdin, capture_output=True, text=True, check=True).stdout


def keygen(path: pathlib.Path, kind: str, *, passphrase: str = "", form: str = "") -> pathlib.Path:
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "ada at home", "-f", str(path)]
    run(*words, *(["-m", form] if form else []), *(["-b", "1024"] if kind in ("rsa", "dsa") else []))
    return path


def expected(public: pathlib.Path) -> tuple[str, str]:
    """MD5 and SHA-256 as ssh-keygen has them."""
    md5 = run("ssh-keygen", "-l", "-E", "md5", "-f", public).split()[1].removeprefix("MD5:")
    return md5, run("ssh-keygen", "-l", "-f", public).split()[1]


def fingerprints(row: dict[str, Any]) -> tuple[str, str]:
    return row["fingerprint_md5"], row["fingerprint_sha256"]


@pytest.mark.parametrize("form", ["", "PEM", "PKCS8"])
@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_the_fingerprint_of_an_unencrypted_key_is_that_of_its_public_half(
    kind: str, form: str, tmp_path: pathlib.Path
) -> None:
    key = keygen(tmp_path / "key", kind, form=form)
    public = tmp_path / "key.pub"
    want = expected(public)
    public.unlink()

    found = rows(tmp_path)

    assert [(row["type"], row["encrypted"], fingerprints(row)) for row in found] == [("private", False, want)]
    assert found[0]["path"] == str(key)
    assert found[0]["mode"] == "0600"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_openssh_s_form_tells_it_without_the_passphrase(kind: str, tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", kind, passphrase="secret word")
    want = expected(tmp_path / "key.pub")
    (tmp_path / "key.pub").unlink()

    row = rows(tmp_path)[0]

    assert (row["encrypted"], fingerprints(row)) == (True, want)
    assert "comment" not in row  # it is encrypted too


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
def test_other_encrypted_forms_do_not_and_that_is_no_fingerprint(form: str, tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "rsa", passphrase="secret word", form=form)
    (tmp_path / "key.pub").unlink()

    result = ask(tmp_path)

    row = rows_in(result)[0]
    assert (row["encrypted"], row["fingerprint_sha256"]) == (True, None)
    assert list(MODULE.lines(result, found_only=True)) == [
        f"{tmp_path}/key [private] encrypted=true md5fp=unknown sha256fp=unknown"
    ]


def test_a_foreign_public_key_beside_it_changes_nothing(tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "ed25519")
    mine = expected(tmp_path / "key.pub")
    keygen(tmp_path / "other", "ed25519")
    (tmp_path / "other.pub").replace(tmp_path / "key.pub")

    private = {row["path"]: row for row in rows(tmp_path, type=["^private$"])}

    assert fingerprints(private[f"{tmp_path}/key"]) == mine


def test_kind_size_and_comment_are_told(tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "ed25519")

    private, public = sorted(rows(tmp_path), key=lambda row: str(row["type"]))

    assert (private["algorithm"], private["bits"], private["comment"]) == ("ssh-ed25519", 256, "ada at home")
    assert (public["type"], public["comment"], public["bits"]) == ("public", "ada at home", 256)
    assert "encrypted" not in public


@pytest.mark.skipif(shutil.which("puttygen") is None, reason="puttygen is not installed")
@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("encrypted", [False, True])
def test_putty_s_keys_have_the_fingerprints_of_openssh(encrypted: bool, version: str, tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "ed25519")
    want = expected(tmp_path / "key.pub")
    (tmp_path / "pass").write_text("secret" if encrypted else "")
    run(
        "puttygen", tmp_path / "key", "-O", "private", "-o", tmp_path / "key.ppk",
        "--new-passphrase", tmp_path / "pass", "--ppk-param", f"version={version}",
    )  # fmt: skip

    row = next(row for row in rows(tmp_path) if row["format"] == "putty")

    assert (row["type"], row["encrypted"], fingerprints(row), row["comment"]) == (
        "private",
        encrypted,
        want,
        "ada at home",
    )


def test_public_keys_in_other_forms_are_the_same_keys(tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "rsa")
    want = expected(tmp_path / "key.pub")
    for form, name in (("RFC4716", "ssh2"), ("PKCS8", "pkcs8"), ("PEM", "pem")):
        (tmp_path / name).write_text(run("ssh-keygen", "-e", "-m", form, "-f", tmp_path / "key.pub"))

    found = {row["path"].rpartition("/")[2]: row for row in rows(tmp_path, type=["^public$"])}

    assert {name: fingerprints(found[name]) for name in ("ssh2", "pkcs8", "pem")} == dict.fromkeys(
        ("ssh2", "pkcs8", "pem"), want
    )


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_a_certificate_has_the_fingerprint_of_its_key(kind: str, tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "ca", "ed25519")
    keygen(tmp_path / "key", kind)
    run("ssh-keygen", "-q", "-s", tmp_path / "ca", "-I", "ada", "-n", "ada", tmp_path / "key.pub")

    row = next(row for row in rows(tmp_path) if row["type"] == "certificate")

    assert fingerprints(row) == expected(tmp_path / "key.pub")
    assert row["algorithm"].endswith("-cert-v01@openssh.com")


def test_every_line_of_authorized_keys_is_an_entry_with_its_options(tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "ed25519")
    kind, blob, *_ = (tmp_path / "key.pub").read_text().split()
    (tmp_path / "authorized_keys").write_text(
        f"# comment\n\n{kind} {blob} plain\n"
        f' \tfrom="10.0.0.0/8, 192.0.2.1",command="a \\"b\\" c" {kind} {blob} restricted\r\n'
        f"cert-authority {kind} {blob}\nnot a key at all\n{kind} AAAA!\nssh-rsa {blob} lies\n"
    )

    result = ask(tmp_path, type=["authorizedkeys"])

    assert [(row["line"], row.get("options"), row.get("comment")) for row in rows_in(result)] == [
        (3, None, "plain"),
        (4, 'from="10.0.0.0/8, 192.0.2.1",command="a \\"b\\" c"', "restricted"),
        (5, "cert-authority", None),
    ]
    assert {one.reason: one.count for one in result.coverage.skipped} == {
        "key or entry that could not be understood": 3
    }
    assert not result.coverage.complete


def test_known_hosts_are_entries_with_their_hosts(tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "ed25519")
    kind, blob, *_ = (tmp_path / "key.pub").read_text().split()
    (tmp_path / "known_hosts").write_text(
        f"web.example,192.0.2.1 {kind} {blob}\n|1|abc=|def= {kind} {blob}\n@revoked * {kind} {blob} old\n"
    )

    found = rows(tmp_path, type=["^knownhosts$"])

    assert [(row["hosts"], row.get("options")) for row in found] == [
        ("web.example,192.0.2.1", None),
        ("|1|abc=|def=", None),
        ("*", "@revoked"),
    ]


def test_one_fingerprint_is_asked_for_wherever_it_is(tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "ed25519")
    keygen(tmp_path / "other", "ed25519")
    md5, sha = expected(tmp_path / "key.pub")

    by_sha = rows(tmp_path, fingerprint_sha256=[sha])
    by_md5 = rows(tmp_path, fingerprint_md5=[md5])

    assert by_sha == by_md5
    assert sorted(row["type"] for row in by_sha) == ["private", "public"]


def test_keys_inside_bundles_and_damaged_ones_are_said(tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "rsa", form="PEM")
    key = (tmp_path / "key").read_text()
    (tmp_path / "bundle.pem").write_text(f"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n{key}{key}")
    (tmp_path / "broken").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")

    result = ask(tmp_path)

    found = [row["path"].rpartition("/")[2] for row in rows_in(result) if row["type"] == "private"]
    assert sorted(found) == ["bundle.pem", "bundle.pem", "key"]
    assert not result.coverage.complete


def test_home_directories_and_the_server_s_own_are_looked_at_unless_a_path_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("git:x:9:9::/srv/git:/bin/sh\nnobody:x:1:1::/nonexistent:/bin/false\n")
    for place in ("srv/git/.ssh", "root/.ssh", "home/ada/.ssh", "etc/ssh", "opt/elsewhere"):
        (tmp_path / place).mkdir(parents=True)
        keygen(tmp_path / place / "id_ed25519", "ed25519")

    parameters = MODULE.parse_parameters({"root": str(tmp_path), "type": ["^private$"]})
    result = MODULE.run(parameters, Context(deadline=time.monotonic() + 30))

    found = {row["path"].removeprefix(f"{tmp_path}/").rpartition("/")[0] for row in rows_in(result)}
    assert found == {"srv/git/.ssh", "root/.ssh", "home/ada/.ssh", "etc/ssh"}
    assert result.coverage.complete


def test_a_depth_that_was_asked_for_is_complete_and_the_default_is_not(tmp_path: pathlib.Path) -> None:
    deep = tmp_path / "a/b/c/d/e/f/g/h/i/j"
    deep.mkdir(parents=True)
    keygen(deep / "key", "ed25519")

    assert not ask(tmp_path).coverage.complete
    assert ask(tmp_path, maxdepth=3).coverage.complete
    assert ask(tmp_path, maxdepth=20).found


def test_a_security_key_s_line_is_a_key(tmp_path: pathlib.Path) -> None:
    blob = "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABHNzaDo="
    (tmp_path / "id_sk.pub").write_text(f"sk-ssh-ed25519@openssh.com {blob} token\n")

    row = rows(tmp_path)[0]

    assert (row["algorithm"], row["bits"]) == ("sk-ssh-ed25519@openssh.com", 256)
    assert fingerprints(row) == expected(tmp_path / "id_sk.pub")


def test_an_ml_dsa_key_is_named_by_its_kind(tmp_path: pathlib.Path) -> None:
    # RFC 9881: the seed form of ML-DSA-44, with a seed of zeros
    body = "MDQCAQAwCwYJYIZIAWUDBAMRBCKAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    (tmp_path / "key.pem").write_text(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")

    row = rows(tmp_path)[0]

    assert (row["type"], row["algorithm"], row["encrypted"], row["fingerprint_sha256"]) == (
        "private",
        "ml-dsa-44",
        False,
        None,
    )


def test_the_original_s_elements_and_keys_are_kept(tmp_path: pathlib.Path) -> None:
    keygen(tmp_path / "key", "ed25519")

    elements: Any = ask(tmp_path).elements

    assert {"fingerprint_md5", "fingerprint_sha256", "path", "encrypted", "type"} <= set(elements["keys"][0])
    assert MODULE.parameters.from_options({"path": ["/root"], "maxdepth": 4}) == {"paths": ["/root"], "maxdepth": 4}


@settings(max_examples=300, deadline=None)
@given(
    content=st.lists(
        st.sampled_from([
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"-----END OPENSSH PRIVATE KEY-----\n", b"\n", b"ssh-rsa ",
            b"AAAA",
            b"b3BlbnNzaC1rZXktdjEA", b"-----BEGIN PRIVATE KEY-----\n", b"-----END PRIVATE KEY-----", b"MIIB", b"=",
            b"PuTTY-User-Key-File-3: x\n", b"Public-Lines: 2\n", b"---- BEGIN SSH2 PUBLIC KEY ----\n", b'"', b" ",
            b"---- END SSH2 PUBLIC KEY ----", b"-----BEGIN RSA PRIVATE KEY-----\n", b"-----END RSA PRIVATE KEY-----",
        ])
        | st.binary(max_size=12),
        max_size=12,
    ).map(b"".join),
    name=st.sampled_from(["key", "authorized_keys", "known_hosts"]),
)  # fmt: skip
def test_any_bytes_give_keys_or_say_what_is_wrong(content: bytes, name: str) -> None:
    for found in keyfile.keys_in(name, content):
        assert isinstance(found, NotAKey) or found.type


def system(place: pathlib.Path) -> pathlib.Path:
    """A system with one account, ada, that has a home."""
    (place / "etc").mkdir(parents=True)
    (place / "etc/passwd").write_text("ada:x:1000:1000::/home/ada:/bin/sh\n")
    (place / "home/ada").mkdir(parents=True)
    return place


def test_a_home_whose_ssh_directory_is_a_link_is_looked_into_as_sshd_does(tmp_path: pathlib.Path) -> None:
    root = system(tmp_path / "root")
    (root / "srv/keys").mkdir(parents=True)
    keygen(root / "srv/keys/id", "ed25519")
    (root / "home/ada/.ssh").symlink_to("/srv/keys")

    found = rows_in(MODULE.run(MODULE.parse_parameters({"root": str(root)}), Context(deadline=time.monotonic() + 30)))

    assert sorted(row["type"] for row in found) == ["private", "public"]


def test_links_below_a_root_lead_to_what_they_mean_there_and_never_out_of_it(tmp_path: pathlib.Path) -> None:
    root = system(tmp_path / "root")
    keygen(tmp_path / "outside", "ed25519")
    (root / "etc/keys").mkdir()
    keygen(root / "etc/keys/id", "ed25519")
    (root / "home/ada/.ssh").mkdir()
    (root / "home/ada/.ssh/authorized_keys").symlink_to("/etc/keys/id.pub")
    (root / "home/ada/.ssh/id_ed25519").symlink_to(tmp_path / "outside")
    (root / "home/ada/.ssh/id_rsa").symlink_to("../../../../outside")

    result = MODULE.run(MODULE.parse_parameters({"root": str(root)}), Context(deadline=time.monotonic() + 30))

    assert [(row["type"], row["path"]) for row in rows_in(result)] == [
        ("authorizedkeys", str(root / "home/ada/.ssh/authorized_keys"))
    ]
    assert {skip.reason: skip.count for skip in result.coverage.skipped} == {"link that leads nowhere": 2}


def test_a_root_that_is_not_there_is_no_complete_answer(tmp_path: pathlib.Path) -> None:
    parameters = MODULE.parse_parameters({"root": str(tmp_path / "nowhere")})

    result = MODULE.run(parameters, Context(deadline=time.monotonic() + 30))

    assert not result.coverage.complete
    assert [skip.reason for skip in result.coverage.skipped] == ["root that is not there"]


def test_a_root_without_accounts_is_no_complete_answer(tmp_path: pathlib.Path) -> None:
    parameters = MODULE.parse_parameters({"root": str(tmp_path)})

    result = MODULE.run(parameters, Context(deadline=time.monotonic() + 30))

    assert not result.coverage.complete
    assert [skip.reason for skip in result.coverage.skipped] == ["no source of accounts was there"]


@pytest.mark.parametrize("blank", [" ", "\t", "  \t "])
def test_a_key_in_a_line_is_told_whatever_blanks_are_before_it(blank: str, tmp_path: pathlib.Path) -> None:
    public = keygen(tmp_path / "key", "ed25519").with_suffix(".pub")
    kind, blob, _ = public.read_text().split(None, 2)
    (tmp_path / "key").unlink()
    public.unlink()
    (tmp_path / "notes").write_text(f"of last year\n{kind}{blank}{blob} ada\n")

    found = rows(tmp_path)

    assert [(row["type"], row["line"]) for row in found] == [("public", 2)]
