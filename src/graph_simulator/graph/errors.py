"""Errors of the Graph API (`docs/reference/graph-facts.md#error-object`, `#error-codes`)."""

from dataclasses import dataclass, field

OAUTH = "OAuthException"
GRAPH_METHOD = "GraphMethodException"


@dataclass
class GraphError(Exception):
    """A Graph error. `status` is the HTTP status; the other attributes make the body."""

    code: int
    message: str
    subcode: int | None = None
    status: int = 400
    type: str = OAUTH
    is_transient: bool | None = None
    more: dict[str, object] = field(default_factory=dict)
    """Additional keys of the error object: error_user_title, error_data, …"""
    status_is_fixed: bool = False
    """Whether a fault rule set the status, so that switches do not change it."""

    def envelope(self, trace_id: str) -> dict[str, object]:
        error: dict[str, object] = {"message": self.message, "type": self.type}
        if self.code:
            error["code"] = self.code
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.is_transient is not None:
            error["is_transient"] = self.is_transient
        return {"error": {**error, **self.more, "fbtrace_id": trace_id}}

    @property
    def www_authenticate(self) -> str | None:
        """Value of the header `WWW-Authenticate` of authentication errors (`#error-object`)."""
        if self.code not in AUTH_CODES:
            return None
        kind = "invalid_token" if self.code == INVALID_TOKEN else "invalid_request"
        return f'OAuth "Facebook Platform" "{kind}" "{self.message}"'


INVALID_TOKEN = 190
AUTH_CODES = frozenset({102, INVALID_TOKEN, 2500})

TRANSIENT_CODES = frozenset({1, 2, 4, 17, 32, 341, 613})


def no_token() -> GraphError:
    return GraphError(
        2500,
        "An active access token must be used to query information about the current user.",
    )


def unparsable_token() -> GraphError:
    return GraphError(190, "Invalid OAuth access token - Cannot parse access token")


def unknown_token() -> GraphError:
    return GraphError(190, "Invalid OAuth access token.", subcode=467)


def expired_token(when: str) -> GraphError:
    return GraphError(
        190,
        f"Error validating access token: Session has expired on {when}.",
        subcode=463,
    )


def revoked_token(subcode: int) -> GraphError:
    reasons = {
        458: "The user has not authorized application.",
        459: "The user is in a checkpoint.",
        492: "The user does not have a role on this Page.",
    }
    reason = reasons.get(
        subcode, "The session has been invalidated for security reasons or by its owner."
    )
    return GraphError(190, f"Error validating access token: {reason}", subcode=subcode)


def unsupported_get(object_id: str) -> GraphError:
    """Make the one error for an object that is deleted, unknown or not visible to the caller."""
    return GraphError(
        100,
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded "
        "due to missing permissions, or does not support this operation. Please read the Graph "
        "API documentation at https://developers.facebook.com/docs/graph-api",
        subcode=33,
        type=GRAPH_METHOD,
    )


def unknown_alias(alias: str) -> GraphError:
    return GraphError(803, f"(#803) Some of the aliases you requested do not exist: {alias}")


def unknown_path(path: str) -> GraphError:
    return GraphError(2500, f"Unknown path components: /{path}")


def unknown_field(name: str, node_type: str) -> GraphError:
    return GraphError(
        100, f"(#100) Tried accessing nonexisting field ({name}) on node type ({node_type})"
    )


def missing_parameter(name: str) -> GraphError:
    return GraphError(100, f"(#100) The parameter {name} is required")


def bad_parameter(message: str) -> GraphError:
    return GraphError(100, f"(#100) {message}")


def syntax_error(message: str, position: int) -> GraphError:
    return GraphError(2500, f'Syntax error "{message}" at character {position}: fields')


def bad_cursor() -> GraphError:
    return GraphError(2642, "(#2642) Invalid cursors values")


def permission_missing(scope: str, status: int) -> GraphError:
    return GraphError(200, f"(#200) Requires {scope} permission", status=status)


def page_token_needed() -> GraphError:
    return GraphError(
        210, "(#210) A page access token is required to request this resource.", status=403
    )


def capability_missing() -> GraphError:
    return GraphError(3, "(#3) Application does not have the capability to make this API call.")


def appsecret_proof_missing() -> GraphError:
    return GraphError(
        100, "API calls from the server require an appsecret_proof argument", type=GRAPH_METHOD
    )


def appsecret_proof_wrong() -> GraphError:
    return GraphError(
        100, "Invalid appsecret_proof provided in the API argument", type=GRAPH_METHOD
    )


def reduce_data() -> GraphError:
    return GraphError(
        1,
        "Please reduce the amount of data you're asking for, then retry your request",
        status=500,
    )


def ids_removed() -> GraphError:
    return GraphError(100, "The ids query parameter is deprecated in v26.0+.", status=500)


def read_only() -> GraphError:
    return GraphError(
        10,
        "(#10) This stand-in answers reads only: every call that would change something in Meta "
        "is refused.",
        status=403,
    )


def too_many_operations() -> GraphError:
    return GraphError(
        0,  # this error has no code (`#batches`)
        "Too many requests in batch message. Maximum batch size is 50",
        type="GraphBatchException",
    )


def bad_batch(message: str) -> GraphError:
    return GraphError(100, f"(#100) {message}", type="GraphBatchException")
