"""Money moves between two databases, in both or in neither: `python two_phase_commit.py CONNINFO`.

The server needs `max_prepared_transactions` above 0; where it is 0, this program says so.
"""

from __future__ import annotations

import sys

from febe import dbapi

BANKS = ("febe_bank_a", "febe_bank_b")


def transfer(source: dbapi.Connection, target: dbapi.Connection, amount: int) -> None:
    """Move it, in two phases: after the first, both have promised that they can commit."""
    for connection, name, change in ((source, "debit", -amount), (target, "credit", amount)):
        connection.tpc_begin(name)
        connection.execute("update account set balance = balance + %s where id = 1", (change,))
    source.tpc_prepare()
    target.tpc_prepare()
    source.tpc_commit()
    target.tpc_commit()


def main(conninfo: str) -> None:
    administrator = dbapi.connect(conninfo, autocommit=True)
    if administrator.execute("show max_prepared_transactions").fetchone() == ("0",):
        administrator.close()
        print("max_prepared_transactions is 0: this server prepares nothing")
        return
    for name in BANKS:
        administrator.execute(f"drop database if exists {name}")
        administrator.execute(f"create database {name}")
    banks = [dbapi.connect(conninfo, dbname=name) for name in BANKS]
    for bank in banks:
        bank.execute("create table account (id int4, balance int8); insert into account values (1, 100)")
        bank.commit()

    transfer(*banks, amount=40)
    print("both committed:", *(bank.execute("select * from account").fetchall() for bank in banks))
    for bank in banks:
        bank.rollback()

    # A program that stops between the phases leaves a transaction that another one has to end.
    banks[0].tpc_begin("debit")
    banks[0].execute("update account set balance = 0")
    banks[0].tpc_prepare()
    banks[0].close()
    recovering = dbapi.connect(conninfo, dbname=BANKS[0])
    left_over = recovering.tpc_recover()
    for xid in left_over:
        recovering.tpc_rollback(xid)
    print(f"left over by a crash: {[str(xid) for xid in left_over]}, rolled back")

    recovering.close()
    banks[1].close()
    for name in BANKS:
        administrator.execute(f"drop database {name}")
    administrator.close()


if __name__ == "__main__":
    main(sys.argv[1])
