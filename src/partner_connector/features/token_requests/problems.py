"""Problems that the holder of a token request's code can get, in words for a partner's admin."""

from partner_connector.errors import Conflict, NotAuthenticated, Problem


class CodeNotAccepted(NotAuthenticated):
    """The request has no code, or an unknown one. Both get the same response, against guessing."""

    code = "code_not_accepted"
    title = "This link is not valid"
    description = (
        "This link is incomplete or has expired. Open the complete link again, or ask the person "
        "who sent it for a new one."
    )


class TokenRequestEnded(Problem):
    """The code is correct, but its link can no longer be used. `state` says how it ended."""

    status = 410
    code = "token_request_ended"
    title = "This link can no longer be used"
    description = "If a token is still needed, ask the person who sent this link for a new one."

    def __init__(self, state: str) -> None:
        super().__init__(_HOW_IT_ENDED[state], state=state)


class HandOverUnderWay(Conflict):
    """A token that was handed over by this link before is still being validated."""

    code = "hand_over_under_way"
    title = "Another token is still being checked"
    description = (
        "Wait until the first token has been checked. If it is refused, hand over the next one."
    )


_HOW_IT_ENDED = {
    "accepted": "The token was accepted. You have nothing more to do.",
    "rejected": "Too many tokens were refused. Ask the person who sent this link for a new one.",
    "expired": "This link has expired. Ask the person who sent it for a new one.",
    "revoked": "This link was withdrawn. If a token is still needed, ask for a new link.",
}
