"""The guarantees of a sealed token, after the tests of Vault's barrier."""

import base64
import uuid
from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey, SealedBox

from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringError, KeyringFile, rotated
from partner_connector.sealing.private import Binding, PrivateKeyring, UnreadableToken
from partner_connector.sealing.public import SEALED_BOX_OVERHEAD, PublicKeyring, SealedToken

TOKEN = "EAABsbCS1iHgBO0made0up0for0these0tests0only"
RING = keyring_file.generate()


def with_flipped_bit(sealed: SealedToken, place: int) -> SealedToken:
    """Return the same box with one bit of one byte changed."""
    box = bytearray(sealed.box)
    box[place] ^= 1
    return SealedToken(sealed.key_id, bytes(box))


def test_ciphertexts_hold_no_part_of_token(
    private: PrivateKeyring, keyring: PublicKeyring, binding: Binding
) -> None:
    for sealed in (keyring.seal(TOKEN), private.seal_at_rest(TOKEN, binding)):
        parts = [TOKEN[at : at + 6].encode() for at in range(len(TOKEN) - 6)]
        assert not [part for part in parts if part in sealed.box]


def test_box_with_changed_byte_does_not_open(
    private: PrivateKeyring, keyring: PublicKeyring
) -> None:
    """Report no detail besides `sealed_box_unreadable`."""
    sealed = keyring.seal(TOKEN)
    assert private.open_box(sealed) == TOKEN
    for place in range(len(sealed.box)):
        with pytest.raises(UnreadableToken, match=r"^sealed_box_unreadable$"):
            private.open_box(with_flipped_bit(sealed, place))


def test_ciphertext_with_changed_byte_does_not_open(
    private: PrivateKeyring, binding: Binding
) -> None:
    sealed = private.seal_at_rest(TOKEN, binding)
    assert private.open_at_rest(sealed, binding) == TOKEN
    for place in range(len(sealed.box)):
        with pytest.raises(UnreadableToken, match=r"^ciphertext_unreadable$"):
            private.open_at_rest(with_flipped_bit(sealed, place), binding)


@pytest.mark.parametrize(
    "moved",
    [
        Binding(uuid.UUID(int=9), uuid.UUID(int=2), 3),
        Binding(uuid.UUID(int=1), uuid.UUID(int=9), 3),
        Binding(uuid.UUID(int=1), uuid.UUID(int=2), 9),
        Binding(uuid.UUID(int=2), uuid.UUID(int=1), 3),
    ],
    ids=["workspace", "owner", "version", "workspace and owner swapped"],
)
def test_ciphertext_of_another_row_does_not_open(
    private: PrivateKeyring, binding: Binding, moved: Binding
) -> None:
    sealed = private.seal_at_rest(TOKEN, binding)
    with pytest.raises(UnreadableToken, match=r"^ciphertext_unreadable$"):
        private.open_at_rest(sealed, moved)


def test_ciphertext_of_another_key_does_not_open(binding: Binding) -> None:
    both = rotated(RING)
    private, public = PrivateKeyring(both), PublicKeyring(both)
    at_rest, box = private.seal_at_rest(TOKEN, binding), public.seal(TOKEN)
    assert at_rest.key_id == box.key_id == both.current.key_id
    with pytest.raises(UnreadableToken, match=r"^ciphertext_unreadable$"):
        private.open_at_rest(replace(at_rest, key_id=RING.current.key_id), binding)
    with pytest.raises(UnreadableToken, match=r"^sealed_box_unreadable$"):
        private.open_box(replace(box, key_id=RING.current.key_id))


def test_box_and_ciphertext_at_rest_are_not_interchangeable(
    private: PrivateKeyring, keyring: PublicKeyring, binding: Binding
) -> None:
    with pytest.raises(UnreadableToken):
        private.open_at_rest(keyring.seal(TOKEN), binding)
    with pytest.raises(UnreadableToken):
        private.open_box(private.seal_at_rest(TOKEN, binding))


def test_each_ciphertext_is_unique(
    private: PrivateKeyring, keyring: PublicKeyring, binding: Binding
) -> None:
    assert len({keyring.seal(TOKEN).box for _ in range(100)}) == 100
    assert len({private.seal_at_rest(TOKEN, binding).box for _ in range(100)}) == 100


def test_old_ciphertexts_open_after_rotations(ring: KeyringFile, binding: Binding) -> None:
    """Seal new tokens under the new key."""
    private = PrivateKeyring(ring)
    box, at_rest = PublicKeyring(ring).seal(TOKEN), private.seal_at_rest(TOKEN, binding)
    newer = ring
    for _ in range(3):
        newer = rotated(newer)
        private, public = PrivateKeyring(newer), PublicKeyring(newer)
        assert private.open_box(box) == TOKEN
        assert private.open_at_rest(at_rest, binding) == TOKEN
        assert public.seal(TOKEN).key_id == newer.current.key_id
        assert private.seal_at_rest(TOKEN, binding).key_id == newer.current.key_id
        assert public.accepts(box.key_id)
    assert len({key.key_id for key in newer.keys}) == 4
    assert [key.state for key in newer.keys] == ["current", "retiring", "retiring", "retiring"]
    assert newer.service_secret == ring.service_secret


@pytest.mark.parametrize("length", [0, 1, 15, 16, 23, 24, 39, 40, 47, 48])
def test_short_ciphertext_is_unreadable(
    private: PrivateKeyring, binding: Binding, length: int
) -> None:
    key_id = private.seal_at_rest(TOKEN, binding).key_id
    for box in (b"\x00" * length, PublicKeyring(RING).seal(TOKEN).box[:length]):
        with pytest.raises(UnreadableToken, match=r"^sealed_box_unreadable$"):
            private.open_box(SealedToken(key_id, box))
        with pytest.raises(UnreadableToken, match=r"^ciphertext_unreadable$"):
            private.open_at_rest(SealedToken(key_id, box), binding)


def test_unknown_key_id_is_key_lost(private: PrivateKeyring, binding: Binding) -> None:
    """Distinguish a lost key, which can be restored, from an unreadable ciphertext."""
    foreign = PublicKeyring(keyring_file.generate()).seal(TOKEN)
    with pytest.raises(UnreadableToken, match=r"^key_lost$"):
        private.open_box(foreign)
    with pytest.raises(UnreadableToken, match=r"^key_lost$"):
        private.open_at_rest(foreign, binding)


def test_sealed_bytes_that_are_no_text_are_unreadable(
    private: PrivateKeyring, ring: KeyringFile
) -> None:
    public = PrivateKey(base64.b64decode(ring.current.private_key or "")).public_key
    box = SealedBox(public).encrypt(b"\xff\xfe")
    with pytest.raises(UnreadableToken, match=r"^sealed_box_unreadable$"):
        private.open_box(SealedToken(ring.current.key_id, box))


def test_repr_and_str_show_no_key(ring: KeyringFile, private: PrivateKeyring) -> None:
    secrets = [ring.service_secret]
    secrets += [key.private_key for key in ring.keys if key.private_key]
    raw = [repr(base64.b64decode(secret))[2:-1] for secret in secrets]
    holders: list[object] = [ring, private, PublicKeyring(ring), *ring.keys]
    for holder in holders:
        shown = f"{holder!r} {holder!s} {[holder]}"
        assert not [secret for secret in secrets + raw if secret in shown]


def test_exception_shows_its_code_only(private: PrivateKeyring, binding: Binding) -> None:
    """Suppress the cause, which has a text of its own."""
    sealed = with_flipped_bit(private.seal_at_rest(TOKEN, binding), 30)
    with pytest.raises(UnreadableToken) as caught:
        private.open_at_rest(sealed, binding)
    assert str(caught.value) == caught.value.code == "ciphertext_unreadable"
    assert caught.value.__suppress_context__


def test_public_half_opens_nothing(ring: KeyringFile) -> None:
    """Hold no private key in any attribute."""
    half = ring.public_half()
    assert not half.holds_private_keys
    assert all(key.private_key is None for key in half.keys)
    with pytest.raises(KeyringError):
        PrivateKeyring(half)
    public = PublicKeyring(ring)
    assert not [name for name in dir(public) if name.startswith(("open", "decrypt"))]
    private_bytes = base64.b64decode(ring.current.private_key or "")
    assert private_bytes not in _bytes_within(public, set())
    assert PrivateKeyring(ring).open_box(PublicKeyring(half).seal(TOKEN)) == TOKEN


def _bytes_within(value: object, seen: set[int]) -> bytes:
    """Return every byte that can be reached from an object through its attributes."""
    if id(value) in seen:
        return b""
    seen.add(id(value))
    if isinstance(value, bytes):
        return value + b"\n"
    if isinstance(value, str):
        return value.encode() + b"\n"
    members: list[object] = []
    if isinstance(value, (tuple, list)):
        members += value
    if hasattr(value, "__dict__"):
        members += vars(value).values()
    if is_dataclass(value):
        members += [getattr(value, field.name) for field in fields(value)]
    return b"".join(_bytes_within(member, seen) for member in members)


def test_derived_secrets_differ_by_purpose_and_keyring(ring: KeyringFile) -> None:
    """Keep a derived secret through rotations. It is 32 bytes long."""
    public = PublicKeyring(ring)
    derived = {public.derive(purpose) for purpose in (b"pc-api-keys", b"pc-cursors", b"x")}
    derived.add(PublicKeyring(RING).derive(b"x"))
    assert len(derived) == 4
    assert {len(secret) for secret in derived} == {32}
    assert PublicKeyring(rotated(ring)).derive(b"x") == public.derive(b"x")
    assert PublicKeyring(ring.public_half()).derive(b"x") == public.derive(b"x")


def test_fingerprint_identifies_token_within_keyring(ring: KeyringFile) -> None:
    """Return the same fingerprint after a rotation."""
    public = PublicKeyring(ring)
    assert public.fingerprint(TOKEN) == PublicKeyring(rotated(ring)).fingerprint(TOKEN)
    assert public.fingerprint(TOKEN) != public.fingerprint(TOKEN + "x")
    assert public.fingerprint(TOKEN) != PublicKeyring(RING).fingerprint(TOKEN)
    assert TOKEN not in public.fingerprint(TOKEN)


@given(
    token=st.text(st.characters(codec="utf-8"), max_size=500),
    workspace=st.uuids(),
    owner=st.uuids(),
    version=st.integers(min_value=1, max_value=2**31 - 1),
)
def test_any_text_is_sealed_and_opened_again(
    token: str, workspace: uuid.UUID, owner: uuid.UUID, version: int
) -> None:
    """Check both layers, for any row."""
    private, public = PrivateKeyring(RING), PublicKeyring(RING)
    box = public.seal(token)
    assert len(box.box) == len(token.encode()) + SEALED_BOX_OVERHEAD
    assert private.open_box(box) == token
    binding = Binding(workspace, owner, version)
    assert private.open_at_rest(private.seal_at_rest(token, binding), binding) == token


@given(box=st.binary(max_size=200))
def test_any_bytes_are_unreadable_without_a_crash(box: bytes) -> None:
    private = PrivateKeyring(RING)
    sealed = SealedToken(RING.current.key_id, box)
    with pytest.raises(UnreadableToken):
        private.open_box(sealed)
    with pytest.raises(UnreadableToken):
        private.open_at_rest(sealed, Binding(uuid.UUID(int=1), uuid.UUID(int=1), 1))
