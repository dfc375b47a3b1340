"""Detection of breaking changes in an OpenAPI document."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.surface import DOCUMENT
from tests.contracts.breaking_changes import breaks, newest
from tests.contracts.schema_breaks import Documents

ROOT = Path(__file__).parents[2]
RELEASED, CURRENT = ROOT / "openapi" / "released", ROOT / "openapi" / "openapi.json"

Document = dict[str, Any]
Change = Callable[[Document], object]


def operation(document: Document, name: str) -> Document:
    """Return an operation by its operationId."""
    (found,) = (
        each
        for item in document["paths"].values()
        for each in item.values()
        if each["operationId"] == name
    )
    checked: Document = found
    return checked


def parameter(document: Document, operation_id: str, name: str) -> Document:
    """Return a parameter of an operation."""
    found: Document = next(
        each for each in operation(document, operation_id)["parameters"] if each["name"] == name
    )
    return found


def schema(document: Document, name: str) -> Document:
    """Return a shared schema."""
    found: Document = document["components"]["schemas"][name]
    return found


def member(document: Document, name: str, of: str) -> Document:
    """Return a property of a shared schema."""
    found: Document = schema(document, of)["properties"][name]
    return found


NEW_AND_REQUIRED = {"name": "region", "in": "query", "required": True, "schema": {"type": "string"}}
NEW_AND_OPTIONAL = {**NEW_AND_REQUIRED, "required": False}

BREAKING: dict[str, tuple[Change, str]] = {
    "an operation is gone": (
        lambda d: d["paths"]["/v1/partners"].pop("get"),
        "GET /v1/partners: the operation is gone",
    ),
    "a path is renamed": (
        lambda d: d["paths"].update({"/v1/allies": d["paths"].pop("/v1/partners")}),
        "GET /v1/partners: the operation is gone",
    ),
    "an operationId is renamed": (
        lambda d: operation(d, "listPartners").update(operationId="findPartners"),
        "GET /v1/partners: its operationId",
    ),
    "another scope is needed": (
        lambda d: operation(d, "listPartners").update(security=[{"apiKey": ["partners:all"]}]),
        "GET /v1/partners: it needs another credential",
    ),
    "a key is needed": (
        lambda d: operation(d, "getLiveness").update(security=[{"apiKey": []}]),
        "GET /livez: it needs another credential",
    ),
    "a parameter is gone": (
        lambda d: operation(d, "listPartners")["parameters"].remove(
            parameter(d, "listPartners", "presence")
        ),
        "GET /v1/partners: query parameter presence is gone",
    ),
    "a new parameter is required": (
        lambda d: operation(d, "listPartners")["parameters"].append(NEW_AND_REQUIRED),
        "GET /v1/partners: query parameter region is new and required",
    ),
    "a parameter is required now": (
        lambda d: parameter(d, "listPartners", "q").update(required=True),
        "GET /v1/partners: query parameter q is required now",
    ),
    "a page is smaller": (
        lambda d: parameter(d, "listPartners", "page_size")["schema"].update(maximum=50),
        "query parameter page_size: maximum is tighter",
    ),
    "a value of a filter is gone": (
        lambda d: parameter(d, "listPartners", "presence")["schema"]["items"]["enum"].pop(),
        "query parameter presence/[]: no_longer_shared is no longer accepted",
    ),
    "fewer values at once": (
        lambda d: parameter(d, "listPartners", "presence")["schema"].update(maxItems=1),
        "query parameter presence: maxItems is tighter",
    ),
    "a member of a request is gone": (
        lambda d: schema(d, "IntegrationCreate")["properties"].pop("safeguard_percent"),
        "POST /v1/integrations: body/safeguard_percent is gone",
    ),
    "a member of a request is required now": (
        lambda d: schema(d, "IntegrationCreate")["required"].append("schedule"),
        "POST /v1/integrations: body/schedule is required now",
    ),
    "a text must be shorter": (
        lambda d: member(d, "name", "IntegrationCreate").update(maxLength=20),
        "POST /v1/integrations: body/name: maxLength is tighter",
    ),
    "a text may not be empty": (
        lambda d: member(d, "name", "IntegrationCreate").update(minLength=2),
        "POST /v1/integrations: body/name: minLength is tighter",
    ),
    "a pattern has changed": (
        lambda d: member(d, "name", "IntegrationCreate").update(pattern="^[a-z]+$"),
        "POST /v1/integrations: body/name: pattern has changed",
    ),
    "a type has changed": (
        lambda d: member(d, "meta_business_id", "IntegrationCreate").update(type="integer"),
        "POST /v1/integrations: body/meta_business_id: string is no longer accepted",
    ),
    "null is refused": (
        lambda d: schema(d, "TokenRequestCreate")["properties"].update(
            note=member(d, "note", "TokenRequestCreate")["anyOf"][0]
        ),
        "token-requests: body/note: null is no longer accepted",
    ),
    "a condition of a body has changed": (
        lambda d: schema(d, "TokenConnect")["else"]["required"].append("note"),
        "body: its condition has changed",
    ),
    "a body is required": (
        lambda d: operation(d, "startPartnerSyncJob")["requestBody"].update(required=True),
        "sync-jobs: a body is required now",
    ),
    "another media type": (
        lambda d: operation(d, "createApiKey")["requestBody"].update(
            content={"text/json": {"schema": {}}}
        ),
        "POST /v1/api-keys: a body of application/json is no longer accepted",
    ),
    "a member of an answer is gone": (
        lambda d: schema(d, "PartnerView")["properties"].pop("user_count"),
        "GET /v1/partners: 200/items/[]/user_count is gone",
    ),
    "a member of an answer may be missing": (
        lambda d: schema(d, "PartnerView")["required"].remove("user_count"),
        "GET /v1/partners: 200/items/[]/user_count may be missing now",
    ),
    "a member of an answer may be null": (
        lambda d: member(d, "name", "PartnerView").update(type=["string", "null"]),
        "GET /v1/partners: 200/items/[]/name: it may be null now",
    ),
    "a member of an answer has another type": (
        lambda d: member(d, "user_count", "PartnerView").update(type="string"),
        "GET /v1/partners: 200/items/[]/user_count: it may be string now",
    ),
    "a time has no format": (
        lambda d: member(d, "created_at", "PartnerView").pop("format"),
        "GET /v1/partners: 200/items/[]/created_at: format has changed",
    ),
    "a state is no longer returned": (
        lambda d: member(d, "presence", "PartnerView")["x-extensible-enum"].pop(),
        "GET /v1/partners: 200/items/[]/presence: no_longer_shared is no longer returned",
    ),
    "a success has another status": (
        lambda d: operation(d, "createApiKey")["responses"].update(
            {"200": operation(d, "createApiKey")["responses"].pop("201")}
        ),
        "POST /v1/api-keys: 201: the answer is gone",
    ),
    "a header is gone": (
        lambda d: operation(d, "createApiKey")["responses"]["201"]["headers"].pop("Location"),
        "POST /v1/api-keys: 201: the header Location is gone",
    ),
    "an answer has another media type": (
        lambda d: operation(d, "getLiveness")["responses"]["200"].update(
            content={"text/plain": {"schema": {"type": "string"}}}
        ),
        "GET /livez: 200: it is no longer returned as application/json",
    ),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda d: d,
    "a new operation": lambda d: d["paths"].update({"/v1/new": d["paths"]["/v1/partners"]}),
    "a new optional parameter": lambda d: operation(d, "listPartners")["parameters"].append(
        NEW_AND_OPTIONAL
    ),
    "a new value of a filter": lambda d: parameter(d, "listPartners", "presence")["schema"][
        "items"
    ]["enum"].append("hidden"),
    "a longer text": lambda d: member(d, "name", "IntegrationCreate").update(maxLength=999),
    "a new optional member of a request": lambda d: schema(d, "IntegrationCreate")[
        "properties"
    ].update(region={"type": "string"}),
    "a member of a request is optional now": lambda d: schema(d, "IntegrationCreate")[
        "required"
    ].remove("name"),
    "null is accepted too": lambda d: schema(d, "IntegrationCreate")["properties"].update(
        name={"anyOf": [member(d, "name", "IntegrationCreate"), {"type": "null"}]}
    ),
    "a condition of a body is gone": lambda d: [
        schema(d, "TokenConnect").pop(keyword) for keyword in ("if", "then", "else")
    ],
    "a new member of an answer": lambda d: schema(d, "PartnerView")["properties"].update(
        region={"type": "string"}
    ),
    "a new state": lambda d: member(d, "presence", "PartnerView")["x-extensible-enum"].append(
        "hidden"
    ),
    "a member is always there now": lambda d: schema(d, "Problem")["required"].append("errors"),
    "a new failure": lambda d: operation(d, "getLiveness")["responses"].update(
        {"418": {"description": "A teapot."}}
    ),
    "another description": lambda d: operation(d, "listPartners").update(
        description="All of them."
    ),
}


@pytest.mark.parametrize("name", BREAKING)
def test_breaking_change_is_found(name: str) -> None:
    """Check that each kind of break, made in our own document, is reported with its place."""
    change, expected = BREAKING[name]
    changed = copy.deepcopy(DOCUMENT)
    change(changed)
    found = breaks(DOCUMENT, changed)
    assert [each for each in found if expected in each], found


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_change_passes(name: str) -> None:
    """Check that additive changes are not reported."""
    changed = copy.deepcopy(DOCUMENT)
    HARMLESS[name](changed)
    assert breaks(DOCUMENT, changed) == []


def test_alternatives_are_compared() -> None:
    """Check that a request keeps every alternative, and an answer gets no new one."""
    two: Document = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    three: Document = {"anyOf": [*two["anyOf"], {"type": "boolean"}]}
    documents = Documents({}, {})
    assert list(documents.narrowed(two, three, "it")) == []
    assert list(documents.narrowed(three, two, "it")) == ["it: boolean is no longer accepted"]
    assert list(documents.weakened(three, two, "it")) == []
    assert list(documents.weakened(two, three, "it")) == ["it: it may be boolean now"]
    assert list(documents.narrowed(two["anyOf"][0], two, "it")) == []
    assert list(documents.weakened(two["anyOf"][0], two, "it")) == ["it: it may be integer now"]


@pytest.mark.parametrize("kind", ["enum of an answer", "event"])
def test_break_in_closed_list_is_found(kind: str) -> None:
    """Check that breaks of closed lists in answers and of webhook events are found."""
    body = {"type": "object", "properties": {"state": {"type": "string", "enum": ["a"]}}}
    media = {"content": {"application/json": {"schema": body}}}
    old: Document = {"paths": {}, "info": {"version": "0.1.0"}}
    if kind == "event":
        old["webhooks"] = {"partner.listed": {"post": {"requestBody": media}}}
    else:
        answers = {"operationId": "getIt", "responses": {"200": media}}
        old["paths"] = {"/v1/it": {"get": answers}}
    assert breaks(old, old) == []

    wider = json.loads(json.dumps(old).replace('["a"]', '["a", "b"]'))
    assert [each for each in breaks(old, wider) if "b is new in a closed list" in each]
    assert breaks(wider, old) == []
    if kind == "event":
        assert breaks(old, {**old, "webhooks": {}}) == ["webhook partner.listed: the event is gone"]


@pytest.mark.parametrize(
    ("version", "exit_code"), [("0.1.0", 1), ("0.1.9", 1), ("0.2.0", 0), ("1.0.0", 0)]
)
def test_program_fails_on_break_unless_version_allows_it(
    tmp_path: Path, version: str, exit_code: int
) -> None:
    """Check that the program fails on a break, unless the new version number allows breaks."""
    for name, number, paths in (
        ("old", "0.1.0", DOCUMENT["paths"]),
        ("new", version, {}),
    ):
        document = {**DOCUMENT, "paths": paths, "info": {"version": number}}
        (tmp_path / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.contracts.breaking_changes"]
        + [str(tmp_path / f"{name}.json") for name in ("old", "new")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code
    assert "GET /v1/partners: the operation is gone" in done.stdout


def test_document_is_compatible_with_released_one() -> None:
    """Check that clients of the last release still work; `make check` runs the same program."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.contracts.breaking_changes", RELEASED, CURRENT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_newest_release_is_found(tmp_path: Path) -> None:
    """Check that versions are compared as numbers, not as text."""
    for name in ("0.9.0", "0.10.0", "0.2.11"):
        (tmp_path / f"{name}.json").touch()
    assert newest(tmp_path).stem == "0.10.0"
