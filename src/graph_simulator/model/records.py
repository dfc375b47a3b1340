"""Records of the world. Each record holds the indexes that requests need, as dictionaries."""

from dataclasses import dataclass, field

from graph_simulator.model.vocabulary import KINDS, AssetKind

Tasks = tuple[str, ...]


@dataclass(slots=True)
class App:
    id: str
    name: str
    secret: str = field(repr=False)
    owner_id: str = ""


@dataclass(slots=True)
class Share:
    """Share of one asset with one other business."""

    permitted_tasks: Tasks
    access_status: str
    requested_at: int
    updated_at: int

    @property
    def confirmed(self) -> bool:
        return self.access_status == "CONFIRMED"


@dataclass(slots=True)
class Asset:
    id: str
    """The number without prefix. Graph paths use `graph_id`."""
    kind: AssetKind
    name: str
    owner_id: str
    created_at: int
    full_control: Tasks
    levels: tuple[Tasks, ...]
    shares: dict[str, Share] = field(default_factory=dict)
    assigned: dict[str, dict[str, Tasks]] = field(default_factory=dict)
    """Business id → member id → tasks of the direct assignment."""
    group_ids: list[str] = field(default_factory=list)

    @property
    def graph_id(self) -> str:
        return f"act_{self.id}" if self.kind == "ad_account" else self.id

    @property
    def new_page_experience(self) -> bool:
        return self.kind == "page" and "PROFILE_PLUS_FULL_CONTROL" in self.full_control


@dataclass(slots=True)
class Member:
    """Person or system user of a business, to which assets can be assigned."""

    id: str
    name: str
    business_id: str
    role: str
    created_at: int
    finance_permission: str | None = None
    assigned: dict[str, Tasks] = field(default_factory=dict)
    group_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SystemUser(Member):
    pass


@dataclass(slots=True)
class Person(Member):
    first_name: str = ""
    last_name: str = ""
    email: str | None = None
    pending_email: str | None = None
    title: str | None = None
    two_fac_status: str | None = None
    marked_for_removal: bool = False


@dataclass(slots=True)
class Account:
    """A Facebook profile. It belongs to one person of one business."""

    id: str
    name: str
    person_id: str


@dataclass(slots=True)
class Invite:
    id: str
    email: str
    role: str
    status: str
    business_id: str
    created_at: int
    expires_at: int


@dataclass(slots=True)
class AppRequest:
    id: str
    app_id: str


@dataclass(slots=True)
class AssetGroup:
    """A business asset group. Members have access to all of its assets, with tasks per kind."""

    id: str
    name: str
    owner_id: str
    asset_ids: dict[str, None] = field(default_factory=dict)
    members: dict[str, dict[AssetKind, Tasks]] = field(default_factory=dict)


def _by_kind() -> dict[AssetKind, dict[str, Asset]]:
    return {kind: {} for kind in KINDS}


@dataclass(slots=True)
class Business:
    id: str
    name: str
    created_at: int
    verification_status: str = "verified"
    two_factor_type: str = "admin_required"
    vertical: str = "ADVERTISING"
    timezone_id: int = 1
    people: dict[str, Person] = field(default_factory=dict)
    system_users: dict[str, SystemUser] = field(default_factory=dict)
    invites: dict[str, Invite] = field(default_factory=dict)
    groups: dict[str, AssetGroup] = field(default_factory=dict)
    owned: dict[AssetKind, dict[str, Asset]] = field(default_factory=_by_kind)
    received: dict[AssetKind, dict[str, Asset]] = field(default_factory=_by_kind)
    """Assets of other businesses that this business may use: their shares are confirmed."""
    offered: dict[AssetKind, dict[str, Asset]] = field(default_factory=_by_kind)
    """Assets of other businesses whose share with this business is pending."""
    agencies: dict[str, dict[str, Asset]] = field(default_factory=dict)
    """Business id → the assets of this business that it may use."""
    clients: dict[str, dict[str, Asset]] = field(default_factory=dict)
    """Business id → its assets that this business may use."""
    owned_app_ids: list[str] = field(default_factory=list)
    client_app_ids: list[str] = field(default_factory=list)
    app_requests: dict[str, AppRequest] = field(default_factory=dict)
