"""What every table stands on: types that behave alike on each dialect, names of constraints."""

import uuid
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import DeclarativeBase


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime, microseconds kept, on every dialect."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class AsciiString(sa.types.TypeDecorator[str]):
    """A string compared byte by byte: equal and ordered alike on every dialect.

    But for spaces at the end, which MariaDB and MySQL pass over: nothing that is looked up by may hold a space.
    """

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        length = cast(sa.String, self.impl_instance).length
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"))
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(sa.String(length, collation=collation))


# CHAR(32) where there is no UUID type that sorts by its bytes: MariaDB's own reorders them.
Id = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: dict[Any, Any] = {
        uuid.UUID: Id,
        datetime: UtcDateTime(),
        int: sa.BigInteger(),
        dict[str, Any]: Json,
        dict[str, str]: Json,
        list[str]: Json,
    }


def table_args(*constraints: Any, **options: Any) -> tuple[Any, ...]:
    common = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
    return (*constraints, common | options)
