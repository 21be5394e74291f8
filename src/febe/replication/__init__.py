"""Following a PostgreSQL's changes (manual: "Logical Replication", "Logical Decoding").

    for change in febe.replication.subscribe("dbname=shop", slot="copy", publication="all", snapshot=True):
        ...

`async for` does the same.
"""

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
from febe.replication.errors import SlotLost
from febe.replication.subscription import Subscription, subscribe

__all__ = [
    "UNCHANGED", "Abort", "Begin", "Block", "BlockEnd", "Change", "Column", "Commit", "CommitPrepared", "Delete",
    "Event", "Insert", "Message", "Prepare", "Raw", "Relation", "RollbackPrepared", "SlotLost", "Subscription",
    "Truncate", "Update", "subscribe"]
