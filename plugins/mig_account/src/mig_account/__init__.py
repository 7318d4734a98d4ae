"""The `account` module: who may log in and become whom on an endpoint, and who did.

``module`` is what the entry point names, ``declaration`` its columns and options; ``ground`` is what one look needs.
Accounts: ``nsswitch`` says which sources there are, ``colon`` reads passwd and its like, ``userdb`` systemd's records,
``password`` judges a password's field; ``directory`` puts them together as ``records``, of which ``users`` and
``groups`` make rows. Rights: ``sudo_lines`` reads sudoers and what it includes, ``sudoers`` knows its grammar,
``sudo_people`` says whom its lists mean, ``sudo_rules`` makes rows, ``doas`` and ``polkit`` others; ``sshd_lines``
reads sshd's configuration, ``sshd_running`` where that is, ``sshd_config`` says what holds for whom, ``doors`` what
closes an account, ``key_files`` and ``key_options`` what closes a file and a key, and ``key_rows`` and ``sshd_rows``
make rows of that. Logins: ``sessions`` of now, ``logins`` before, ``attempts`` that failed, ``lastlog``, over
``login_files`` of records in the form of ``utmp``, and over ``login_databases``, which are read by ``sqlite_copy``;
``journal_logins`` over ``journal``, which reads journald's files.
"""

from mig_account.module import AccountModule

__all__ = ["AccountModule"]
