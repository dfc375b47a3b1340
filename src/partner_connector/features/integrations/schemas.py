"""Integrations on the wire."""

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
    """`20` and `20.0` are the same JSON number; `"20"` and `true` are none."""
    if isinstance(value, (str, bool)):
        raise ValueError("not a number")  # noqa: TRY004 - what Pydantic turns into a 422
    return value


SafeguardPercent = Annotated[
    int,
    Field(
        ge=0,
        le=100,
        description="A check that would remove more than this share of a partner's users halts.",
        examples=[20],
    ),
    BeforeValidator(_number),
]


class Schedule(Body):
    """When checks for updates run by themselves."""

    frequency: str = Field(
        default="daily",
        max_length=16,
        pattern=r"^daily$",
        description="Only `daily` today.",
        examples=["daily"],
    )
    paused: bool = Field(default=False, strict=True, description="True: only when asked for.")


class ScheduleView(Answer):
    """When checks for updates run by themselves, and when the next one does."""

    frequency: str = open_enum("daily", description="How often.")
    paused: bool = Field(description="True: only when asked for.")
    next_run_at: Instant | None = Field(
        description="Null while paused, and until a worker has planned it, which takes a minute."
    )


class IntegrationCreate(TokenIntake):
    """Our own business and its own system-user token."""

    model_config = either_form({"name": "Acme ad accounts", "meta_business_id": "1029384756102938"})

    name: IntegrationName
    meta_business_id: MetaId
    safeguard_percent: SafeguardPercent = 20
    schedule: Schedule = Field(default_factory=Schedule)


class IntegrationUpdate(Body):
    """What is left out stays as it is."""

    name: IntegrationName | None = Field(default=None, examples=["Acme ad accounts"])
    safeguard_percent: SafeguardPercent | None = Field(default=None, examples=[20])
    schedule: Schedule | None = Field(default=None, examples=[{"paused": True}])


class IntegrationTokenReplace(TokenIntake):
    """A new token of our own business."""


class IntegrationView(Answer):
    """Our own Meta business."""

    id: IntegrationId
    name: IntegrationName
    meta_business_id: MetaId
    app_id: str = Field(max_length=32, pattern=r"^[0-9]+$", examples=["2965389650414399"])
    health: str = open_enum(
        "pending_validation",
        "healthy",
        "attention_required",
        description="What the last proof of our token said.",
    )
    health_reasons: list[HealthReason] = Field(max_length=100)
    safeguard_percent: SafeguardPercent
    schedule: ScheduleView
    graph_version: str = Field(max_length=8, pattern=r"^v[0-9]+\.[0-9]+$", examples=["v26.0"])
    last_sync_at: Instant | None
    created_at: Instant
    updated_at: Instant


class IntegrationPage(Page):
    """A page of integrations."""

    items: list[IntegrationView] = Field(max_length=100)


def integration_view(row: Integration) -> IntegrationView:
    """An integration's row as the wire shows it."""
    given = Schedule.model_validate(row.schedule)
    schedule = ScheduleView(
        frequency=given.frequency,
        paused=given.paused,
        next_run_at=None if given.paused else row.next_check_at,
    )
    return IntegrationView.of(row, schedule=schedule)
