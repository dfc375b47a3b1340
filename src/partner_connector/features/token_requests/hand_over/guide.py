"""Steps that the partner's admin follows, in the words of Meta's screens."""

from partner_connector.features.token_requests.hand_over.schemas import Guide, GuideStep

PERMISSIONS = (
    "ads_management",
    "business_management",
    "catalog_management",
    "pages_manage_metadata",
    "pages_read_engagement",
    "pages_show_list",
)

_STEPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "request_app_access",
        "Request access to the app",
        (
            "Log in to Meta Business Manager at https://business.facebook.com/.",
            "Click the Settings icon at the bottom left of the page.",
            "Select Apps from the Accounts drop-down list in the left navigation drawer.",
            "Click Add and select Request Access to an App ID.",
            "Enter {app_id} in the App ID field and click Request app.",
            "Wait for the approval. You get a notification in Meta Business Manager.",
        ),
    ),
    (
        "assign_assets",
        "Assign the shared assets to a system user",
        (
            "In Settings, select System users from the Users drop-down list.",
            "If there is no system user yet, add a system user and assign the Admin role.",
            "Select the system user and click Assign assets.",
            "Select all shared assets and assign Full control to each of them.",
            "Click Save changes, then Done.",
        ),
    ),
    (
        "generate_token",
        "Generate the token",
        (
            "Select the system user and click Generate new token.",
            "Select the app {app_id} from the App drop-down list.",
            "Select Never in the Token expiration section.",
            "Select exactly these permissions in the Permissions section: {permissions}.",
            "Click Generate token. Copy the token, then click OK.",
        ),
    ),
    (
        "hand_over_token",
        "Hand over the token",
        (
            "Hand over the token by this link only. Do not send it by mail or chat.",
            "Wait for the checks. If a check refuses the token, do what it says and hand over a "
            "token again.",
        ),
    ),
)


def guide(app_id: str) -> Guide:
    """Return the steps in order, with the app id and the permissions filled in."""
    words = {"app_id": app_id, "permissions": ", ".join(PERMISSIONS)}
    steps = [
        GuideStep(id=step_id, title=title, instructions=[line.format(**words) for line in lines])
        for step_id, title, lines in _STEPS
    ]
    return Guide(app_id=app_id, permissions=list(PERMISSIONS), steps=steps)
