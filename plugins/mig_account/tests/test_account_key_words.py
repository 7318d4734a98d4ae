"""Reading paths, options and words of sshd's files is total."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mig_account.key_options import parsed, why_closed
from mig_account.key_rows import expanded
from mig_account.records import Account
from mig_account.sshd_lines import words_of


@given(pattern=st.text(max_size=30))
def test_paths_of_keys_are_expanded_once(pattern: str) -> None:
    account = Account("%h", 1000, 1000, "/etc/passwd", home="/home/%u")

    path = expanded(pattern, account)

    assert path.startswith("/")


@given(text=st.text(max_size=60))
@settings(deadline=None)
def test_reading_options_and_words_is_total(text: str) -> None:
    words_of(text)
    try:
        why_closed(parsed(text), 0)
    except ValueError:
        return
