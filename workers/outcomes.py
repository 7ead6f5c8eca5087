"""How a step can end other than well."""


class PermanentFailure(Exception):
    """Trying again would change nothing; the message names the cause and what to do."""
