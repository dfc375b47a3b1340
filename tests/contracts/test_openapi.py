"""OpenAPI document: it is committed, complete and consistent."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from partner_connector.errors import Problem, catalogue
from tests.api.surface import DOCUMENT, OPERATIONS
from tests.contracts.json_schema import violations

COMMITTED = Path(__file__).parents[2] / "openapi" / "openapi.json"
PROBLEM_MEDIA_TYPE = "application/problem+json"


def operations() -> list[tuple[str, dict[str, Any]]]:
    """Return each operation with its method and path."""
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    ]


def response(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a response with its reference resolved."""
    if "$ref" not in answer:
        return answer
    found: dict[str, Any] = DOCUMENT["components"]["responses"][answer["$ref"].split("/")[-1]]
    return found


def test_committed_document_equals_generated_one() -> None:
    """Compare the committed document with the code. Run `make openapi` if this fails."""
    committed = COMMITTED.read_text(encoding="utf-8")
    assert json.loads(committed) == DOCUMENT
    assert committed == json.dumps(DOCUMENT, indent=2, ensure_ascii=False) + "\n"


def test_operation_ids_are_unique_and_camel_case() -> None:
    """Check that ids are unique and in camelCase: they name the methods of every SDK."""
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(ids) == len(set(ids))
    assert [each for each in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", each)] == []


def test_every_operation_is_described() -> None:
    """Check that every operation has a summary, a description and described tags."""
    known = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    for name, operation in operations():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        assert set(operation["tags"]) <= known, name


def test_every_failure_is_declared_as_a_problem() -> None:
    """Check that each response with a status from 400 on has the shared problem schema."""
    for name, operation in operations():
        failures = {
            status: each for status, each in operation["responses"].items() if status >= "4"
        }
        assert "500" in failures, name
        for status, answer in failures.items():
            content = response(answer)["content"]
            assert set(content) == {PROBLEM_MEDIA_TYPE}, (name, status)
            schema = content[PROBLEM_MEDIA_TYPE]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}, (name, status)


def test_each_operation_declares_its_failures() -> None:
    """Check that each operation declares the failures of its key, its ids and its body."""
    for operation in OPERATIONS:
        item = DOCUMENT["paths"][operation.path][operation.method.lower()]
        expected = {"500"}
        if operation.is_secured:
            expected |= {"401", "429", "503"}
        if operation.scopes:
            expected |= {"403"}
        if operation.ids:
            expected |= {"404", "422"}
        if operation.body is not None:
            expected |= {"400", "413", "415", "422"}
        assert expected <= set(item["responses"]), operation.name


def test_every_success_has_a_schema() -> None:
    """Check that each success except 204 has a JSON object of a named schema."""
    for name, operation in operations():
        successes = [status for status in operation["responses"] if status.startswith("2")]
        assert successes, name
        for status in successes:
            answer = response(operation["responses"][status])
            assert "X-Request-Id" in answer["headers"], name
            if status == "204":
                assert "content" not in answer
            else:
                schema = answer["content"]["application/json"]["schema"]
                assert schema["$ref"].startswith("#/components/schemas/"), name


def test_references_have_targets() -> None:
    """Check that every reference has a target, and every shared schema is used."""
    references = set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(DOCUMENT)))
    for reference in references:
        kind, name = reference.split("/")
        assert name in DOCUMENT["components"][kind], reference
    used = {each.split("/")[1] for each in references if each.startswith("schemas/")}
    assert set(DOCUMENT["components"]["schemas"]) == used


def test_request_schemas_forbid_unknown_members() -> None:
    for operation in OPERATIONS:
        if operation.body is not None:
            assert operation.body.get("additionalProperties") is False, operation.name


def nodes(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of the document with its place, except examples."""
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, dict):
        yield place, node
        children = ((k, v) for k, v in node.items() if k not in {"examples", "x-extensible-enum"})
    elif isinstance(node, list):
        children = enumerate(node)
    for key, child in children:
        yield from nodes(child, f"{place}/{key}")


_BOUNDS: dict[str, list[set[str]]] = {
    "string": [{"maxLength", "enum", "const"}, {"pattern", "format", "enum", "const"}],
    "integer": [{"minimum"}, {"maximum"}, {"format"}],
    "array": [{"maxItems"}],
}


def test_every_value_is_bounded() -> None:
    """Check that strings have a length and a form, numbers and lists have bounds, and no parameter
    is nullable.
    """
    unbounded = [
        f"{place}: {sorted(one_of)}"
        for place, node in nodes(DOCUMENT)
        for one_of in _BOUNDS.get(str(node.get("type")), [])
        if not one_of & set(node)
    ]
    assert unbounded == []
    for name, operation in operations():
        for parameter in operation.get("parameters", []):
            assert '"null"' not in json.dumps(parameter), name


def test_examples_are_valid() -> None:
    """Check that every example is valid for its schema, and none looks like a secret."""
    examples = [
        (place, node, example)
        for place, node in nodes(DOCUMENT)
        if "type" in node or "anyOf" in node
        for example in node.get("examples", [])
    ]
    wrong = [
        f"{place}: {each}"
        for place, node, example in examples
        for each in violations(DOCUMENT, node, example)
    ]
    assert wrong == []
    assert len(examples) > 50
    assert not re.search(r"EAA[A-Za-z0-9]{16,}|(pck|trc)_[0-9a-z]{12}_", json.dumps(DOCUMENT))


def is_leaf(schema: dict[str, Any]) -> bool:
    """Return whether a value needs an example: not an object, a list of objects or a boolean."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    if len(kinds) > 1 or "anyOf" in schema:
        return all(is_leaf(kind) for kind in kinds)
    if schema.get("type") == "array":
        return is_leaf(schema["items"])
    return "$ref" not in schema and schema.get("type") not in ("boolean", "null")


def has_example(schema: dict[str, Any]) -> bool:
    """Return whether the schema has an example or lists its values."""
    if schema.get("examples") or schema.get("enum") or "const" in schema:
        return True
    inner = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    return any(has_example(each) for each in inner)


def test_every_member_has_an_example() -> None:
    """Check members, parameters and headers: a mock server answers with the examples."""
    components = DOCUMENT["components"]
    found = {
        f"{name}/{member}": definition
        for name, schema in components["schemas"].items()
        for member, definition in schema.get("properties", {}).items()
    }
    found |= {f"header {name}": header["schema"] for name, header in components["headers"].items()}
    for name, operation in operations():
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (name, parameter["name"])
            found[f"{name}/{parameter['name']}"] = parameter["schema"]
    without_example = [
        place
        for place, definition in found.items()
        if is_leaf(definition) and not has_example(definition)
    ]
    assert without_example == []


def test_open_list_announces_further_values() -> None:
    for place, node in nodes(DOCUMENT):
        if "x-extensible-enum" in node and "description" in node:
            assert re.search(r"unknown value|[Ee]xpect (further|others)", node["description"]), (
                place
            )


def test_document_has_contact_licence_and_servers() -> None:
    """Check the contact, the licence, the servers and the version number."""
    info = DOCUMENT["info"]
    assert info["contact"]["name"]
    assert info["license"]["identifier"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["version"])
    for server in DOCUMENT["servers"]:
        assert server["url"].startswith("https://")
        assert server["x-internal"] is False


def test_codes_are_unique_and_documented() -> None:
    """Check that each kind of problem has a unique code, a status, a title and a description."""
    kinds = catalogue()
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))
    for kind in kinds:
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", kind.code)
        assert 400 <= kind.status <= 599
        assert kind.title
        assert not kind.title.endswith(".")
        assert kind.description.endswith(".")
        parents = [each for each in kind.__mro__[1:] if issubclass(each, Problem)]
        if parents and parents[0] is not Problem:
            assert kind.status == parents[0].status


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_catalogue_of_problems_is_served(api: httpx.AsyncClient) -> None:
    """Read every kind of problem from `GET /v1/problems` without a key."""
    answer = await api.get("/v1/problems", headers={"Authorization": ""})
    items = answer.json()["items"]
    assert [(item["code"], item["status"]) for item in items] == [
        (kind.code, kind.status) for kind in catalogue()
    ]
    assert {item["type"] for item in items} == {f"/v1/problems#{k.code}" for k in catalogue()}


def test_document_is_openapi_3_1_0() -> None:
    """Check that the document is OpenAPI 3.1.0 and uses no feature of a later version."""
    assert DOCUMENT["openapi"] == "3.1.0"
    assert "itemSchema" not in json.dumps(DOCUMENT)
    assert DOCUMENT["components"]["securitySchemes"]["apiKey"]["type"] == "http"
    assert DOCUMENT["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_deprecated_operation_has_sunset_date() -> None:
    """Check that each deprecated operation, and no other, has a sunset date."""
    for name, operation in operations():
        assert ("x-sunset" in operation) is operation.get("deprecated", False), name
