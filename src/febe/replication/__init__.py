"""Following a PostgreSQL's changes (manual: "Logical Replication", "Logical Decoding").

    for change in febe.replication.subscribe("dbname=shop", slot="copy", publication="all", snapshot=True):
        ...

`async for` does the same.
"""

from febe.replication.backup import Backup, base_backup
from febe.replication.changes import (
    UNCHANGED,
    Abort,
    Begin,
    Block,
    BlockEnd,
    Change,
    Column,
    Commit,
    CommitPrepared,
    Delete,
    Event,
    Insert,
    Message,
    Prepare,
    Raw,
    Relation,
    RollbackPrepared,
    Truncate,
    Update,
)
from febe.replication.errors import BackupError, SlotLost
from febe.replication.subscription import Subscription, subscribe
from febe.replication.wal import WalEnd, receive_wal

__all__ = [
    "UNCHANGED", "Abort", "Backup", "BackupError", "Begin", "Block", "BlockEnd", "Change", "Column", "Commit",
    "CommitPrepared", "Delete", "Event", "Insert", "Message", "Prepare", "Raw", "Relation", "RollbackPrepared",
    "SlotLost", "Subscription", "Truncate", "Update", "WalEnd", "base_backup", "receive_wal", "subscribe"]
