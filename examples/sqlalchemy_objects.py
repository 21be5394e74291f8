"""Objects in a database by SQLAlchemy's ORM, blocking and with asyncio: `python sqlalchemy_objects.py CONNINFO`."""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

import febe.aio


class Base(DeclarativeBase):
    """What is in the database."""


class Author(Base):
    """Somebody who writes."""

    __tablename__ = "febe_author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(back_populates="author", lazy="selectin")


class Book(Base):
    """Something to read."""

    __tablename__ = "febe_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    author_id: Mapped[int] = mapped_column(ForeignKey("febe_author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


def write(conninfo: str) -> None:
    """Make the tables and some objects."""
    engine = create_engine("postgresql+febe://", connect_args={"dsn": conninfo})
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Author(name="Ada", books=[Book(title=f"Volume {n}", facts={"pages": 100 * n}) for n in (1, 2, 3)]))
    engine.dispose()


async def read(conninfo: str) -> None:
    """Find them again."""
    engine = create_async_engine("postgresql+febe://", connect_args={"dsn": conninfo})
    async with async_sessionmaker(engine)() as session:
        ada = (await session.scalars(select(Author).where(Author.name == "Ada"))).one()
        pages = await session.scalar(select(func.sum(Book.facts["pages"].as_integer())))
        print(ada.name, [book.title for book in ada.books], pages)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()


if __name__ == "__main__":
    write(sys.argv[1])
    febe.aio.run(read(sys.argv[1]))
