"""Postgres-XC and Postgres-XL: a coordinator's connection to a datanode, and a datanode on any engine.

    with febe.xc.connect("host=datanode dbname=postgres") as node:
        node.query("START TRANSACTION", gxid=10021, timestamp=0)
        node.execute("INSERT INTO t VALUES ($1)", ["integer"], ["1"], snapshot=febe.xc.Snapshot(
            xmin=10021, xmax=10021, recent_global_xmin=10021, xip=[]))

    await febe.xc.serve(engine, port=5433)
"""

from febe.flows.coordinate import Result
from febe.protocol.xc import GlobalSnapshot as Snapshot
from febe.xc.coordinator import Datanode, connect
from febe.xc.datanode import DatanodeSession, serve

__all__ = ["Datanode", "DatanodeSession", "Result", "Snapshot", "connect", "serve"]
