"""Changes on the wire: told in the feed, and planned in a check that was halted."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, with_config

# Pydantic reads the standard library's own only from Python 3.12 on.
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
    """What a change was about. Only those members are there that it was about.

    Of a user who came or went all facts, of one who changed those that changed; of access `via`,
    `tasks` and `full_control`; of a shared asset `type` to `permitted_tasks`; of a partner
    `meta_business_id`, `name` and `relationship`. Expect further members.
    """


class PlannedChangeView(Answer):
    """One thing that a check would change."""

    kind: str = open_enum(*get_args(ChangeKind), description="What changes.")
    partner_id: PartnerId = Field(description="At which partner.")
    partner_user_id: PartnerUserId | None = Field(description="Whose access, or who; else null.")
    asset_id: AssetId | None = Field(description="On which asset, or which one; else null.")
    before: ChangeFacts | None = Field(description="Null where there was nothing before.")
    after: ChangeFacts | None = Field(description="Null where there is nothing any more.")


class ChangeView(PlannedChangeView):
    """One thing that changed."""

    sequence: Int64 = Field(
        ge=1,
        description="Its place in the feed of this workspace. Sequences only grow.",
        examples=[1042],
    )
    occurred_at: Instant = Field(description="When we saw and stored it.")
    job_id: SyncJobId = Field(description="The check that saw it. The feed outlives it.")


class ChangePage(Page):
    """A page of changes."""

    items: list[ChangeView] = Field(max_length=100)
