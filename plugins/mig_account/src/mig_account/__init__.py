"""The `account` module: who may log in and become whom on an endpoint, and who did.

``module`` is what the entry point names, ``declaration`` its columns and options; ``ground`` is what one look needs.
Accounts: ``nsswitch`` says which sources there are, ``colon`` reads passwd and its like, ``userdb`` systemd's records,
``password`` judges a password's field; ``directory`` puts them together as ``records``, of which ``users`` and
``groups`` make rows.
"""

from mig_account.module import AccountModule

__all__ = ["AccountModule"]
