"""A generator of rows as a table without an end: a client takes as many as it likes, and cancels when it has enough.

    febe serve examples.engine_primes:Primes --port 5499
    psql "host=127.0.0.1 port=5499 user=me" --set FETCH_COUNT=100 -c "primes"
"""

from collections.abc import Iterator
from itertools import count

from febe.server import Answer, AnswerEngine, Column, EngineError
from febe.types import oids


def primes() -> Iterator[tuple[int]]:
    found: list[int] = []
    for number in count(2):
        if all(number % prime for prime in found):
            found.append(number)
            yield (number,)


class Primes(AnswerEngine):
    def answer(self, sql: str) -> Answer:
        if sql.lower() != "primes":
            raise EngineError("say: primes", sqlstate="42601")
        return Answer([Column(name="prime", type_oid=oids.INT8)], primes)
