"""Every type through COPY: PostgreSQL loads what febe writes, febe reads what PostgreSQL writes, to the same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from febe.types import Codec, Range
from febe.types.copy import CopyColumn, CopyDecoder, CopyEncoder, CopyFormat, Framing
from tests.peers.postgres import Postgres
from tests.types.copy_oracle import dump, pieces
from tests.types.live import Live, connected, decode, encode
from tests.types.samples import EXTENSIONS, SAMPLES, Sample
from tests.types.test_postgres_values import NAMES, has_nan, sample_of, spelled

FORMS = (CopyFormat(), CopyFormat(format="csv"), CopyFormat(format="binary"))


@pytest.fixture(scope="module")
def live(pg18: Postgres) -> Iterator[Live]:
    with connected(pg18.dsn()) as made:
        for extension in sorted({extension for extension, _ in EXTENSIONS.values()}):
            made.connection.execute(f"create extension if not exists {extension} schema public")
        yield made


@pytest.fixture(scope="module")
def live15(pg15: Postgres) -> Iterator[Live]:
    with connected(pg15.dsn()) as made:
        yield made


def check(live: Live, codecs: list[Codec], declared: list[str], rows: list[tuple[Any, ...]], sample: Sample) -> None:
    """The rows, loaded and dumped in every form, the data cut anywhere."""
    columns = [CopyColumn(name=name, codec=codec) for name, codec in zip("ab", codecs, strict=True)]
    live.connection.execute("drop table if exists live.copied")
    live.connection.execute(
        f"create table live.copied ({', '.join(f'{name} {type_}' for name, type_ in zip('ab', declared, strict=True))})"
    )
    for form in FORMS:
        if sample.names and form.format == "binary":
            continue  # names are no numbers
        encoder = CopyEncoder(form, columns, Framing.BARE)
        ours = encoder.encode(rows) + encoder.finish()
        live.connection.execute("truncate live.copied")
        with live.connection.cursor().copy(f"copy live.copied from stdin {form.sql()}") as copy:
            copy.write(ours)
        theirs = dump(live.connection, form.sql(), "live.copied")
        if sample.same_text:
            assert theirs == ours, form
        decoder = CopyDecoder(form, columns)
        back: list[tuple[Any, ...]] = []
        for piece in pieces(theirs, random.Random(form.format)):
            back += decoder.feed(piece)
        back += decoder.finish()
        assert len(back) == len(rows)
        for got, row in zip(back, rows, strict=True):
            assert got == row or any(map(has_nan, row)), (form, got, row)
            assert [type(value) for value in got] == [type(value) for value in row]


@pytest.mark.parametrize("name", NAMES)
def test_every_type(live: Live, name: str) -> None:
    sample = sample_of(name)
    declared = [spelled(name) + sample.typmod, f"{spelled(name)}{sample.typmod}[]"]
    check(live, live.learn(spelled(name), f"{spelled(name)}[]"), declared, rows_of(sample, name), sample)


def rows_of(sample: Sample, name: str) -> list[tuple[Any, ...]]:
    # None stands for SQL's NULL here as everywhere
    values = [value for value in sample.some(name, 40) if value is not None and len(repr(value)) < 2000]  # of a page
    return [(value, [value, None]) for value in values] + [(None, None), (values[0], [])]


def test_xml(live15: Live) -> None:
    """On 15, because the packaged PostgreSQL 18 has no libxml."""
    check(live15, live15.learn("xml", "xml[]"), ["xml", "xml[]"], rows_of(SAMPLES["xml"], "xml"), SAMPLES["xml"])


def test_containers(live: Live) -> None:
    live.connection.execute("create type live.mood as enum ('sad', 'very, \"happy\"', '\\\\N')")
    live.connection.execute("create type live.pair as (a live.mood, b text, c numeric[])")
    live.connection.execute("create type live.moods as range (subtype = live.mood)")
    mood, moods, pair, pairs = live.learn("live.mood", "live.moods", "live.pair", "live.pair[]")
    label = 'very, "happy"'
    value = (label, "a\tb\n\\.", [Decimal("1.50"), None])
    check(live, [mood, moods], ["live.mood", "live.moods"],
          [(label, Range("sad", label, "[]")), ("\\\\N", None)], Sample(values=[]))
    columns = [pair, pairs]
    rows: list[tuple[Any, ...]] = [
        tuple(decode(codec, 1, encode(codec, 1, part)) for codec, part in zip(columns, row, strict=True))
        for row in [(value, [value, None]), ((None, None, None), [])]]
    check(live, columns, ["live.pair", "live.pair[]"], rows, Sample(values=[]))
