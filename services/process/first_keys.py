"""The API keys that a Cartouche of one process begins with."""

import json
import os
from pathlib import Path

from services.database.engine import Database
from services.identity.keys import create_key, ensure_organization
from services.identity.roles import Role

_ORGANIZATION = "demo"
_ROLES = (Role.owner, Role.member, Role.viewer)


def first_keys(database: Database, home: Path) -> dict[str, str]:
    """A key of the organization `demo` for each role that has one, made at the first start and
    kept in `home/keys.json`, which only the user of the process may read.
    """
    path = home / "keys.json"
    if path.exists():
        found: dict[str, str] = json.loads(path.read_text())
        return found
    organization_id = ensure_organization(database, _ORGANIZATION)
    keys = {role.name: create_key(database, organization_id, role) for role in _ROLES}
    written = path.with_suffix(".new")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(keys, file, indent=2)
        file.write("\n")
    written.replace(path)
    return keys
