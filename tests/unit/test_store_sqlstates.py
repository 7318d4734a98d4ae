"""An error of the database is judged by its SQLSTATE: refused, an outage, or for an operator to mend."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout

from mig_core.store.sqlstates import Trouble, trouble_of

WHAT_THEY_MEAN = {
    errors.DeadlockDetected: Trouble.BLOCKED,
    errors.SerializationFailure: Trouble.BLOCKED,
    errors.AdminShutdown: Trouble.BROKE,
    errors.CannotConnectNow: Trouble.BROKE,
    errors.ConnectionFailure: Trouble.BROKE,
    errors.ReadOnlySqlTransaction: Trouble.BROKE,
    errors.DiskFull: Trouble.SHORT,
    errors.OutOfMemory: Trouble.SHORT,
    errors.QueryCanceled: Trouble.SHORT,
    errors.LockNotAvailable: Trouble.SHORT,
    errors.IoError: Trouble.SHORT,
    errors.DataCorrupted: Trouble.SHORT,
    errors.ProgramLimitExceeded: Trouble.REFUSED,
    errors.StatementTooComplex: Trouble.REFUSED,
    errors.UntranslatableCharacter: Trouble.REFUSED,
    errors.CheckViolation: Trouble.REFUSED,
    errors.InternalError_: Trouble.REFUSED,
    errors.InsufficientPrivilege: Trouble.UNFIT,
    errors.UndefinedTable: Trouble.UNFIT,
    errors.FeatureNotSupported: Trouble.UNFIT,
    PoolTimeout: Trouble.SHORT,
    psycopg.OperationalError: Trouble.BROKE,
    psycopg.InterfaceError: Trouble.BROKE,
    psycopg.DataError: Trouble.REFUSED,
    psycopg.ProgrammingError: Trouble.UNFIT,
}


@pytest.mark.parametrize(("kind", "meaning"), WHAT_THEY_MEAN.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_an_error_means_what_its_code_says(kind: type[psycopg.Error], meaning: Trouble) -> None:
    assert trouble_of(kind("whatever it says")) is meaning


def test_every_code_postgresql_has_is_judged_and_only_data_is_ever_to_blame() -> None:
    refused = set()
    for code, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, psycopg.Error) and kind.sqlstate:
            trouble = trouble_of(kind(code))
            if trouble is Trouble.REFUSED:
                refused.add(kind.sqlstate[:2])

    assert refused == {"21", "22", "23", "44", "54", "XX"}
