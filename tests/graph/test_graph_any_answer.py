"""Random responses: the client classifies each of them without an exception."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partner_connector.graph import GraphError, Unreachable, classify, parse_answer

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ERROR_KEYS = ["code", "error_subcode", "message", "is_transient", "fbtrace_id", "type"]


@settings(deadline=None, database=None)
@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(
        st.sampled_from(["x-app-usage", "x-business-use-case-usage", "x-ad-account-usage"]),
        json_values.map(json.dumps),
    ),
    content=st.binary()
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(ERROR_KEYS), json_values).map(
        lambda value: json.dumps({"error": value}).encode()
    ),
)
def test_any_response_is_classified(status: int, headers: dict[str, str], content: bytes) -> None:
    found = classify(status, headers, parse_answer(content))

    assert found is None or isinstance(found, GraphError)
    if found is not None:
        assert found.resume_after is None or 0 < found.resume_after < 10**9
        assert len(str(found)) < 700


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"error":' * 100_000, b"9" * 10_000])
def test_hostile_json_counts_as_unreachable(content: bytes) -> None:
    """Treat endless brackets like an HTML page."""
    assert type(classify(200, {}, parse_answer(content))) is Unreachable
