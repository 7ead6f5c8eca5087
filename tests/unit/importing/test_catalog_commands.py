"""Commands on the catalog that cannot work say what to do."""

import pytest

from services.importing.catalog import open_catalog
from services.importing.dataset import WrongUsage
from services.importing.endpoint import Endpoint


def test_a_missing_key_is_asked_for() -> None:
    server = Endpoint("127.0.0.1:9")
    with pytest.raises(WrongUsage, match="CARTOUCHE_API_KEY"), open_catalog(server, ""):
        pass
