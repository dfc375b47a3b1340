"""Apps, and requests for an app that wait for approval.

Facts: `docs/reference/graph-facts.md#app-access`.
"""

from collections.abc import Sequence

from graph_simulator.graph import errors
from graph_simulator.graph.schema import Edge, NodeType, Params, Reading, Ref, attribute, constant
from graph_simulator.model.records import App, Business


def _check_app(reading: Reading, app: App) -> None:
    if reading.viewer.token.app_id != app.id:
        raise errors.unsupported_get(app.id)


def _app_businesses(reading: Reading, app: App, _params: Params) -> Sequence[Business]:
    """Return the businesses that use an app. Only an app token or the owner may read them."""
    viewer = reading.viewer
    owns = viewer.business is not None and viewer.business.id == app.owner_id
    if viewer.token.type != "APP" and not owns:
        raise errors.permission_missing("business_management", 403)
    return [b for b in reading.world.businesses.values() if app.id in b.client_app_ids]


APPLICATION = NodeType(
    "Application",
    fields={
        "id": attribute("id"),
        "name": attribute("name"),
        "link": lambda _reading, app: f"https://www.facebook.com/games/?app_id={app.id}",
        "category": constant("Business and pages"),
        "namespace": constant(""),
    },
    defaults=("category", "link", "name", "namespace", "id"),
    edges={
        "agencies": Edge("Business", _app_businesses),
        "connected_client_businesses": Edge("Business", _app_businesses),
    },
    valueless=frozenset({"owner_business", "business", "app_type", "company", "icon_url"}),
    check=_check_app,
)

APP_REQUEST = NodeType(
    "BusinessApplicationRequest",
    fields={
        "id": attribute("id"),
        "application": lambda reading, r: Ref("Application", reading.world.apps[r.app_id]),
    },
    defaults=("id", "application"),
    refs={"application": "Application"},
)

APP_TYPES = (APPLICATION, APP_REQUEST)
