"""The clients of Node.js, each a script that tries everything and prints what came of it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tests.conformance.compatibility.features import FEATURES, PASSWORD, Client
from tests.peers import node

_HERE = Path(__file__).parent


@cache
def _outcomes(script: str, port: int, authority: str, table: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(node.run(_HERE / script, str(port), PASSWORD, authority, table))
    return found


class Node(Client):
    script = ""

    @classmethod
    def features(cls) -> list[str]:
        source = (_HERE / cls.script).read_text()
        return [name for name in FEATURES if f"\n  async {name}(" in source]

    def check(self, feature: str) -> None:
        found = _outcomes(self.script, self.place.port, self.place.authority, f"{self.script.partition('.')[0]}_table")
        assert found[feature] == "ok"


class NodePostgres(Node):
    name = "node-postgres"
    script = "pg.cjs"


class PostgresJs(Node):
    name = "postgres.js"
    script = "postgres.cjs"
