"""Request and response schemas of integrations."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from partner_connector.db.models import Integration
from partner_connector.features.tokens.intake import TokenIntake, either_form
from partner_connector.ids import IntegrationId
from partner_connector.web.schemas import (
    Answer,
    Body,
    HealthReason,
    Instant,
    MetaId,
    Page,
    open_enum,
)

IntegrationName = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", examples=["Acme ad accounts"]),
]


def _number(value: object) -> object:
    """Return `20` and `20.0`, which are JSON numbers. Raises `ValueError` for `"20"` and `true`."""
    if isinstance(value, (str, bool)):
        raise ValueError("not a number")  # noqa: TRY004 - what Pydantic turns into a 422
    return value


SafeguardPercent = Annotated[
    int,
    Field(
        ge=0,
        le=100,
        description="Safeguard: a check for updates halts when it would remove more than this "
        "percentage of a partner's users. The removal of one user does not halt it, unless it is "
        "the only user. With 100, no check halts. Nor does a check halt when nothing is shared "
        "with the partner any more.",
        examples=[20],
    ),
    BeforeValidator(_number),
]


class Schedule(Body):
    """Schedule of the automatic checks for updates."""

    frequency: str = Field(
        default="daily",
        max_length=16,
        pattern=r"^daily$",
        description="How often checks run. The only value today is `daily`.",
        examples=["daily"],
    )
    paused: bool = Field(
        default=False, strict=True, description="True: checks run on request only."
    )


class ScheduleView(Answer):
    """Schedule of the automatic checks for updates, with the time of the next one."""

    frequency: str = open_enum("daily", description="How often checks run.")
    paused: bool = Field(description="True: checks run on request only.")
    next_run_at: Instant | None = Field(
        description="The time of the next check. Null while the schedule is paused, and for about "
        "a minute until a worker has planned the check."
    )


class IntegrationCreate(TokenIntake):
    """Our own Meta business and the token of one of its system users."""

    model_config = either_form({"name": "Acme ad accounts", "meta_business_id": "1029384756102938"})

    name: IntegrationName
    meta_business_id: MetaId
    safeguard_percent: SafeguardPercent = 20
    schedule: Schedule = Field(default_factory=Schedule)


class IntegrationUpdate(Body):
    """Changes to an integration. Members that are left out keep their value."""

    name: IntegrationName | None = Field(default=None, examples=["Acme ad accounts"])
    safeguard_percent: SafeguardPercent | None = Field(default=None, examples=[20])
    schedule: Schedule | None = Field(default=None, examples=[{"paused": True}])


class IntegrationTokenReplace(TokenIntake):
    """New token of our own Meta business."""


class IntegrationView(Answer):
    """Connection to our own Meta business."""

    id: IntegrationId
    name: IntegrationName
    meta_business_id: MetaId
    app_id: str = Field(
        max_length=32,
        pattern=r"^[0-9]+$",
        description="The Meta app of the integration's own token. Until a token has passed "
        "its validation, the app of this deployment.",
        examples=["2965389650414399"],
    )
    health: str = open_enum(
        "pending_validation",
        "healthy",
        "attention_required",
        description="State of our own token after its last validation or check. Also "
        "`attention_required` if Meta answers with another API version than requested.",
    )
    health_reasons: list[HealthReason] = Field(
        max_length=100, description="Why `health` is not `healthy`, and what will need attention."
    )
    safeguard_percent: SafeguardPercent
    schedule: ScheduleView
    graph_version: str = Field(
        max_length=8,
        pattern=r"^v[0-9]+\.[0-9]+$",
        description="The version of Meta's Graph API.",
        examples=["v26.0"],
    )
    last_sync_at: Instant | None = Field(
        description="When the list of partners was last updated. Null before the first time."
    )
    created_at: Instant
    updated_at: Instant


class IntegrationPage(Page):
    """A page of integrations."""

    items: list[IntegrationView] = Field(max_length=100)


def integration_view(row: Integration) -> IntegrationView:
    """Return the response for an integration's row."""
    given = Schedule.model_validate(row.schedule)
    schedule = ScheduleView(
        frequency=given.frequency,
        paused=given.paused,
        next_run_at=None if given.paused else row.next_check_at,
    )
    return IntegrationView.of(row, schedule=schedule)
