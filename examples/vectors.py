"""Embeddings in pgvector: loaded by COPY, searched by distance, and back as one numpy matrix:
`python vectors.py CONNINFO`."""

from __future__ import annotations

import sys

import numpy

import febe


def main(conninfo: str) -> None:
    dice = numpy.random.default_rng(2026)
    embeddings = dice.random((500, 16), dtype=numpy.float32)
    with febe.connect(conninfo) as connection:
        connection.execute("create extension if not exists vector; "
                           "create temp table document (id int4 primary key, embedding vector(16))")
        print(connection.copy_in("document", enumerate(embeddings)))

        wanted = embeddings[42] + numpy.float32(0.001)
        nearest = connection.into(febe.scalar).fetch(
            "select id from document order by embedding <-> $1::vector limit 3", wanted)
        print("nearest to a neighbour of 42:", nearest[0])

        rows = connection.into(febe.scalar).fetch("select embedding from document order by id")
        print("the same as before:", numpy.array_equal(numpy.stack(rows), embeddings))


if __name__ == "__main__":
    main(sys.argv[1])
