"""API schemas of changes: those in the feed, and those planned by a halted check."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, with_config

# Pydantic supports `typing.TypedDict` only from Python 3.12 on.
from typing_extensions import TypedDict

from partner_connector.db.facts import ASSET, PERSON, SHARE, Fact
from partner_connector.ids import AssetId, PartnerId, PartnerUserId, SyncJobId
from partner_connector.web.schemas import Answer, Instant, Int64, MetaId, Page, TaskName, open_enum

ChangeKind = Literal[
    "partner_listed",
    "partner_unshared",
    "user_joined",
    "user_rejoined",
    "user_left",
    "user_role_changed",
    "user_email_changed",
    "user_name_changed",
    "user_two_factor_changed",
    "access_granted",
    "access_changed",
    "access_revoked",
    "asset_shared",
    "asset_unshared",
]

_Word = Annotated[str, Field(max_length=64)]
_Tasks = Annotated[list[TaskName], Field(max_length=100, examples=[["ADVERTISE", "ANALYZE"]])]


def _facts(facts: Mapping[str, Fact]) -> dict[str, Any]:
    """Return facts as members of a change."""
    return {name: _type(fact) for name, fact in facts.items()}


def _type(fact: Fact) -> Any:
    if fact.length is None:
        return _Tasks | None
    if fact.values:
        return Annotated[_Word, Field(examples=[fact.values[0]])]
    return Annotated[fact.type, Field(max_length=fact.length, examples=[fact.example])]


_MEMBERS = {
    "meta_user_id": MetaId,
    **_facts(PERSON),
    "via": Annotated[_Word, Field(examples=["direct"])],
    "tasks": _Tasks,
    "full_control": bool,
    "type": Annotated[_Word, Field(examples=["ad_account"])],
    "meta_id": MetaId,
    **_facts({name: fact for name, fact in (ASSET | SHARE).items() if name not in PERSON}),
    "meta_business_id": MetaId,
    "relationship": Annotated[_Word, Field(examples=["agency"])],
}
_AllFacts = TypedDict("_AllFacts", _MEMBERS, total=False)  # type: ignore[misc] # from lists of facts


@with_config(ConfigDict(extra="allow"))
class ChangeFacts(_AllFacts, total=False):
    """Facts before or after a change. Only members that belong to the change are present.

    A user who joined or left: all facts of the user. A user who changed: the changed facts. Access:
    `via`, `tasks` and `full_control`. A shared asset: `type` to `permitted_tasks`. A partner:
    `meta_business_id`, `name` and `relationship`. Expect further members.
    """


class PlannedChangeView(Answer):
    """A change that a halted check for updates would apply."""

    kind: str = open_enum(*get_args(ChangeKind), description="Kind of the change.")
    partner_id: PartnerId = Field(description="The partner that the change belongs to.")
    partner_user_id: PartnerUserId | None = Field(
        description="The user that changes, or whose access changes. Null for other changes."
    )
    asset_id: AssetId | None = Field(
        description="The asset that is shared, or that the access is for. Null for other changes."
    )
    before: ChangeFacts | None = Field(
        description="Facts before the change. Null if there were none."
    )
    after: ChangeFacts | None = Field(description="Facts after the change. Null if there are none.")


class ChangeView(PlannedChangeView):
    """A change that a check for updates found."""

    sequence: Int64 = Field(
        ge=1,
        description="Position in the feed of this workspace. Later changes have greater numbers.",
        examples=[1042],
    )
    occurred_at: Instant = Field(description="When the change was found and stored.")
    job_id: SyncJobId = Field(
        description="The check for updates that found it. The job may be deleted before the change."
    )


class ChangePage(Page):
    """A page of changes."""

    items: list[ChangeView] = Field(max_length=100)
