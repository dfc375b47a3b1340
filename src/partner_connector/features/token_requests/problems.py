"""What the holder of a code can be told."""

from partner_connector.errors import Conflict, NotAuthenticated, Problem


class CodeNotAccepted(NotAuthenticated):
    """No code, or one that never was. Both look alike on purpose."""

    code = "code_not_accepted"
    title = "A valid code is required"
    description = "Send `Authorization: Bearer trc_…` with the whole code of your link."


class TokenRequestEnded(Problem):
    """The code was right, and its time is over. `state` says how it ended."""

    status = 410
    code = "token_request_ended"
    title = "This link has ended"
    description = "`state` says how it ended. If a token is still needed, ask for a new link."

    def __init__(self, state: str) -> None:
        super().__init__(_HOW_IT_ENDED[state], state=state)


class HandOverUnderWay(Conflict):
    """One hand-over at a time."""

    code = "hand_over_under_way"
    title = "A token is being checked"
    description = "Wait until the token that was handed over before this one has been checked."


_HOW_IT_ENDED = {
    "accepted": "The token was accepted. There is nothing left to do.",
    "rejected": "No token was accepted in all the tries of this link. Ask for a new one.",
    "expired": "The time of this link is over. Ask for a new one.",
    "revoked": "This link was withdrawn. Ask for a new one if a token is still needed.",
}
