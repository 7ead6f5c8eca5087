"""Whether a column has one of many values."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, Text, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY


def among(
    connection: Connection, column: ColumnElement[str], values: Collection[str]
) -> ColumnElement[bool]:
    """A condition, with one parameter on PostgreSQL, however many there are: statements with as
    many as values are each parsed anew."""
    if connection.dialect.name == "sqlite":
        return column.in_(values)
    return column == any_(literal(list(values), ARRAY(Text)))
