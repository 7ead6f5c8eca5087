"""Pages of lists: limit and offset, as the SDK's pager sends them."""

from services.errors import Invalid

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000


def page(limit: int, offset: int) -> tuple[int, int]:
    """Limit and offset with the default filled in.

    Raises:
        Invalid: the limit is not within 1 to 1,000, or the offset is negative.
    """
    if not 0 <= limit <= MAX_LIMIT:
        raise Invalid.of("limit", f"give 1 to {MAX_LIMIT}")
    if offset < 0:
        raise Invalid.of("offset", "give 0 or more")
    return limit or DEFAULT_LIMIT, offset
