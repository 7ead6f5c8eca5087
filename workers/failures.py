"""How a step can end other than well."""


class PermanentFailure(Exception):
    """Trying again would change nothing; the message names the cause and what to do."""


class ImageUnusable(PermanentFailure):
    """The bytes of an image, which once had this SHA-256, are missing or others."""

    def __init__(self, message: str, sha256: str) -> None:
        super().__init__(message)
        self.sha256 = sha256
