"""Facts of a person, an asset and a share, each declared once.

Tables, staging, plan, change feed, CSV and API use these lists. To add a fact, add a member here,
its field in `graph.edges` and a migration.
"""

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Literal, get_args, get_type_hints

from sqlalchemy import String
from sqlalchemy.orm import InstrumentedAttribute, Mapped, MappedColumn, mapped_column

PersonKind = Literal["person", "system_user", "pending_invite"]
RoleClass = Literal["admin", "employee", "other", "unknown"]
TwoFactor = Literal["on", "off", "unknown"]
ShareDirection = Literal["ours_shared_to_partner", "theirs_shared_to_us"]

# Changes of a person's facts, in the order in which a plan lists them.
FactChange = Literal[
    "user_name_changed", "user_email_changed", "user_role_changed", "user_two_factor_changed"
]


@dataclass(frozen=True, slots=True)
class Fact:
    """Declaration of one fact: its source, its column and its description in the API."""

    # Maximum length of a text.
    length: int | None = None
    # Kind of the change in the change feed when only this fact changes.
    change: FactChange | None = None
    _: KW_ONLY
    # Meta's field in rows of `business_users`, `system_users` or assets. None: derived by us.
    field: str | None = None
    # True if rows of an asset's `assigned_users` have the field too.
    on_assets: bool = False
    # True if the fact identifies a person.
    personal: bool = False
    # Known values, where they are ours and not Meta's.
    values: tuple[str, ...] = ()
    example: str | None = None
    about: str | None = None
    # Python type of the column.
    type: Any = None

    def column(self) -> MappedColumn[Any]:
        """Return the mapped column. Without a length, its annotation gives the type."""
        text = None if self.length is None else String(self.length)
        return mapped_column(text, info={"fact": self})


class PersonFacts:
    """Facts of a person, as staged and as stored."""

    kind: Mapped[str] = Fact(
        16, "user_role_changed", values=get_args(PersonKind), about="Kind of user."
    ).column()
    name: Mapped[str] = Fact(
        500, "user_name_changed", field="name", on_assets=True, personal=True, example="Ada Example"
    ).column()
    email: Mapped[str | None] = Fact(
        320,
        "user_email_changed",
        field="email",
        personal=True,
        example="ada@example.com",
        about="Null if Meta does not show an e-mail address.",
    ).column()
    title: Mapped[str | None] = Fact(
        500, "user_name_changed", field="title", personal=True, example="Account manager"
    ).column()
    role: Mapped[str | None] = Fact(
        64,
        "user_role_changed",
        field="role",
        example="ADMIN",
        about="Role in the partner's business, as Meta spells it.",
    ).column()
    role_class: Mapped[str] = Fact(
        16, "user_role_changed", values=get_args(RoleClass), about="Class of the role."
    ).column()
    two_factor: Mapped[str] = Fact(
        16,
        "user_two_factor_changed",
        field="two_fac_status",
        values=get_args(TwoFactor),
        about="Two-factor authentication of the user.",
    ).column()
    finance_permission: Mapped[str | None] = Fact(
        64,
        "user_role_changed",
        field="finance_permission",
        example="FINANCE_EDIT",
        about="Finance permission in the partner's business, as Meta spells it.",
    ).column()


class AssetFacts:
    """Facts of an asset, as staged and as stored."""

    name: Mapped[str] = Fact(500, field="name", example="Spring campaign").column()


class ShareFacts:
    """Facts of an asset's share with one partner, as staged and as stored.

    `permitted_tasks` is null where Meta did not say.
    """

    direction: Mapped[str] = Fact(32, values=get_args(ShareDirection)).column()
    permitted_tasks: Mapped[list[str] | None] = Fact(field="permitted_tasks").column()


def _listed(facts: type) -> dict[str, Fact]:
    """Return the facts of a class by name, in the order of their declaration."""
    return {
        name: replace(vars(facts)[name].column.info["fact"], type=get_args(mapped)[0])
        for name, mapped in get_type_hints(facts).items()
    }


def columns(table: type, names: Iterable[str]) -> dict[str, InstrumentedAttribute[Any]]:
    """Return these columns of a table by name."""
    return {name: getattr(table, name) for name in names}


PERSON, ASSET, SHARE = _listed(PersonFacts), _listed(AssetFacts), _listed(ShareFacts)
