"""Who is calling, and what a role may do."""

from dataclasses import dataclass
from enum import IntEnum

from services.errors import Forbidden


class Role(IntEnum):
    """Roles of an API key; each may do what the ones before it may."""

    viewer = 0
    member = 1
    admin = 2
    owner = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """The API key behind a call."""

    api_key_id: str
    organization_id: str
    role: Role
    #: Calls an hour that the organization's keys may make; 0: any number; None: the default.
    rate_limit: int | None = None

    def require(self, role: Role) -> None:
        """Raises:
        Forbidden: the caller's role is below `role`.
        """
        if self.role < role:
            raise Forbidden(
                "ROLE_REQUIRED",
                f"This call needs the role {role.name} or higher; the API key has the role "
                f"{self.role.name}. Use a key of a higher role.",
                {"required_role": role.name, "current_role": self.role.name},
            )
