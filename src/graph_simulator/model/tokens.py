"""Access tokens: their attributes and their text."""

from dataclasses import dataclass, field
from typing import Literal

from graph_simulator.model import seeded

TokenType = Literal["SYSTEM_USER", "USER", "PAGE", "APP"]

TOKEN_LENGTH = 190


@dataclass(slots=True)
class Token:
    """A token as Meta knows it. `label` is its name on the control surface."""

    text: str = field(repr=False)
    label: str
    type: TokenType
    app_id: str
    owner_id: str
    """Id of a system user, Facebook profile, Page or app, depending on `type`."""
    business_id: str
    scopes: tuple[str, ...]
    issued_at: int
    expires_at: int = 0
    data_access_expires_at: int = 0
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Scope → the only asset ids it covers. A scope without an entry covers all assets."""
    revoked: int = 0
    """Error subcode of a revoked token (460, 458, …); 0 for a valid token."""
    origin_text: str = field(default="", repr=False)
    """Of a Page token: the text of the token with which it was read."""

    def expired(self, now: float) -> bool:
        return bool(self.expires_at) and self.expires_at <= now

    def has_any(self, scopes: tuple[str, ...]) -> bool:
        return any(scope in self.scopes for scope in scopes)

    def covers(self, scopes: tuple[str, ...], asset_id: str) -> bool:
        """Return whether the token has one of these scopes for this asset."""
        return any(
            scope in self.scopes and asset_id in self.targets.get(scope, (asset_id,))
            for scope in scopes
        )


def make_token_text(*labels: object) -> str:
    """Return a token text that looks like Meta's and depends only on the labels."""
    return "EAA" + seeded.letters(TOKEN_LENGTH, "token", *labels)


def is_parsable(text: str) -> bool:
    return text.startswith("EAA") and text.isalnum()
