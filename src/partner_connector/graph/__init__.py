"""A read-only, asynchronous client for Meta's Graph API."""

from partner_connector.graph import edges
from partner_connector.graph.batch import MAX_READS
from partner_connector.graph.budget_cache import BudgetStore
from partner_connector.graph.budgets import Budget
from partner_connector.graph.classify import classify, parse_answer
from partner_connector.graph.client import GraphClient
from partner_connector.graph.credentials import AppsecretProofMode
from partner_connector.graph.edges import ad_account_path
from partner_connector.graph.error_table import ERROR_TABLE
from partner_connector.graph.errors import (
    REFUSALS,
    Blocked,
    CursorExpired,
    ErrorClass,
    GraphError,
    InvalidRequest,
    LimitScope,
    NotFoundOrForbidden,
    PermissionMissing,
    RetryRule,
    Temporary,
    Throttled,
    TokenDead,
    TooMuchData,
    UnknownGraphError,
    Unreachable,
)
from partner_connector.graph.reader import (
    Answer,
    BatchRead,
    EdgePager,
    FirstPage,
    GraphReader,
    answer_to,
    first_page,
)
from partner_connector.graph.reads import Page, Read, nested_page, page_from
from partner_connector.graph.retry import retry_delay
from partner_connector.graph.tasks import REQUIRED_SCOPES, RoleClass, full_control, role_class
from partner_connector.graph.tokens import TokenInspection
from partner_connector.graph.transport import ReadOnlyTransport, WriteRefused, open_http_client
from partner_connector.graph.usage import Usage, parse_usage
from partner_connector.graph.versions import VersionWarning, sunset, version_warnings

__all__ = [
    "ERROR_TABLE",
    "MAX_READS",
    "REFUSALS",
    "REQUIRED_SCOPES",
    "Answer",
    "AppsecretProofMode",
    "BatchRead",
    "Blocked",
    "Budget",
    "BudgetStore",
    "CursorExpired",
    "EdgePager",
    "ErrorClass",
    "FirstPage",
    "GraphClient",
    "GraphError",
    "GraphReader",
    "InvalidRequest",
    "LimitScope",
    "NotFoundOrForbidden",
    "Page",
    "PermissionMissing",
    "Read",
    "ReadOnlyTransport",
    "RetryRule",
    "RoleClass",
    "Temporary",
    "Throttled",
    "TokenDead",
    "TokenInspection",
    "TooMuchData",
    "UnknownGraphError",
    "Unreachable",
    "Usage",
    "VersionWarning",
    "WriteRefused",
    "ad_account_path",
    "answer_to",
    "classify",
    "edges",
    "first_page",
    "full_control",
    "nested_page",
    "open_http_client",
    "page_from",
    "parse_answer",
    "parse_usage",
    "retry_delay",
    "role_class",
    "sunset",
    "version_warnings",
]
