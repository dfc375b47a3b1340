"""A keyring and what a token is bound to."""

import uuid

import pytest

from partner_connector.sealing.keyring import KeyringFile
from partner_connector.sealing.private import Binding, PrivateKeyring


@pytest.fixture
def private(ring: KeyringFile) -> PrivateKeyring:
    """The half that opens."""
    return PrivateKeyring(ring)


@pytest.fixture
def binding() -> Binding:
    """One row's binding."""
    return Binding(uuid.UUID(int=1), uuid.UUID(int=2), 3)
