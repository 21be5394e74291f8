"""The sending side of replication: what pg_receivewal, pg_basebackup and standbys connect to.

    async with await febe.walsender.serve(febe.walsender.relay("host=db user=replicator"), port=5433):
        ...

`relay` passes replication connections on to a PostgreSQL; `walsender` answers them from a `Source` of one's own.
"""

from typing import Any

from febe.server import Listener, Session
from febe.server import serve as serve_engine
from febe.walsender.no_engine import NoEngine
from febe.walsender.relay import relay
from febe.walsender.session import WalSenderSession, walsender
from febe.walsender.source import Backup, Directory, File, Slot, Source, System, Tablespace

__all__ = ["Backup", "Directory", "File", "Slot", "Source", "System", "Tablespace", "WalSenderSession", "relay",
           "serve", "walsender"]


async def serve(replication: type[Session], *, host: str | None = "127.0.0.1", port: int = 5432,
                **options: Any) -> Listener:
    """Listen for replication connections; `options` are those of `febe.server.serve`.

    Other clients are refused, unless an `engine` is given for them.
    """
    engine = options.pop("engine", None) or NoEngine("this server has replication connections only")
    return await serve_engine(engine, host=host, port=port, replication=replication, **options)
