"""Access tokens: what one carries, and how it is spelled (REFERENCE 4)."""

from dataclasses import dataclass, field
from typing import Literal

from graph_simulator.model import dice

TokenType = Literal["SYSTEM_USER", "USER", "PAGE", "APP"]

TOKEN_LENGTH = 190


@dataclass(slots=True)
class Token:
    """A token as Meta's side knows it. `label` is the name the control surface uses for it."""

    text: str = field(repr=False)
    label: str
    type: TokenType
    app_id: str
    owner_id: str
    """System user, Facebook profile, Page or app, by type."""
    business_id: str
    scopes: tuple[str, ...]
    issued_at: int
    expires_at: int = 0
    data_access_expires_at: int = 0
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Scope to the only asset ids it covers; a scope that is not here covers everything."""
    revoked: int = 0
    """The error subcode a revoked token gives (460, 458, …), or 0 while it lives."""
    behind: str = field(default="", repr=False)
    """For a Page token: the text of the token it was made from."""

    def expired(self, now: float) -> bool:
        return bool(self.expires_at) and self.expires_at <= now

    def has_any(self, scopes: tuple[str, ...]) -> bool:
        return any(scope in self.scopes for scope in scopes)

    def covers(self, scopes: tuple[str, ...], asset_id: str) -> bool:
        """True when one of these scopes is granted and not narrowed away from this asset."""
        return any(
            scope in self.scopes and asset_id in self.targets.get(scope, (asset_id,))
            for scope in scopes
        )


def spell(*labels: object) -> str:
    """A token text that looks like Meta's and depends only on the labels."""
    return "EAA" + dice.letters(TOKEN_LENGTH, "token", *labels)


def looks_parsable(text: str) -> bool:
    return text.startswith("EAA") and text.isalnum()
