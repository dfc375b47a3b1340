"""Fixtures for a keyring and the binding of a token."""

import uuid

import pytest

from partner_connector.sealing.keyring import KeyringFile
from partner_connector.sealing.private import Binding, PrivateKeyring


@pytest.fixture
def private(ring: KeyringFile) -> PrivateKeyring:
    """The private half of the keyring."""
    return PrivateKeyring(ring)


@pytest.fixture
def binding() -> Binding:
    """The binding of one row."""
    return Binding(uuid.UUID(int=1), uuid.UUID(int=2), 3)
