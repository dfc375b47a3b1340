"""The OpenAPI document: committed, complete, and true about what it says."""

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
    """Each operation with its name."""
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    ]


def response(answer: dict[str, Any]) -> dict[str, Any]:
    """A response, its reference resolved."""
    if "$ref" not in answer:
        return answer
    found: dict[str, Any] = DOCUMENT["components"]["responses"][answer["$ref"].split("/")[-1]]
    return found


def test_the_committed_document_is_the_generated_one() -> None:
    """What clients build against is what the code does: run `make openapi` when this fails."""
    committed = COMMITTED.read_text(encoding="utf-8")
    assert json.loads(committed) == DOCUMENT
    assert committed == json.dumps(DOCUMENT, indent=2, ensure_ascii=False) + "\n"


def test_operation_ids() -> None:
    """Every operation has an id of its own in camelCase: the name of a method in every SDK."""
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(ids) == len(set(ids))
    assert [each for each in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", each)] == []


def test_every_operation_is_described() -> None:
    """Every operation has a summary, a description and one tag that is described."""
    known = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    for name, operation in operations():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        assert set(operation["tags"]) <= known, name


def test_every_failure_is_declared_as_a_problem() -> None:
    """Each response of 400 and more is a problem document with the shared schema."""
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


def test_the_failures_of_each_operation() -> None:
    """Each operation declares the failures that its key, its ids and its body can meet."""
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
    """Each success but 204 has a JSON object of a named schema."""
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


def test_references_lead_somewhere() -> None:
    """No reference of the document dangles, and no shared schema is unused."""
    references = set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(DOCUMENT)))
    for reference in references:
        kind, name = reference.split("/")
        assert name in DOCUMENT["components"][kind], reference
    used = {each.split("/")[1] for each in references if each.startswith("schemas/")}
    assert set(DOCUMENT["components"]["schemas"]) == used


def test_requests_take_no_unknown_member() -> None:
    """Every schema of a request body forbids members that it does not name."""
    for operation in OPERATIONS:
        if operation.body is not None:
            assert operation.body.get("additionalProperties") is False, operation.name


def nodes(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document with its place, examples left out."""
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
    """Every string has a length and a form, every number and list its bounds, and no parameter can
    be null.
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


def test_examples_validate() -> None:
    """Every example in the document is valid where it stands, and none looks like a secret."""
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
    """Whether a value says something by itself: no object of ours, no list of such, no yes."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    if len(kinds) > 1 or "anyOf" in schema:
        return all(is_leaf(kind) for kind in kinds)
    if schema.get("type") == "array":
        return is_leaf(schema["items"])
    return "$ref" not in schema and schema.get("type") not in ("boolean", "null")


def has_example(schema: dict[str, Any]) -> bool:
    """An example, or the values that it is one of."""
    if schema.get("examples") or schema.get("enum") or "const" in schema:
        return True
    inner = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    return any(has_example(each) for each in inner)


def test_every_member_has_an_example() -> None:
    """Members, parameters and headers: a mock server has something to answer with."""
    components = DOCUMENT["components"]
    found = {
        f"{name}/{member}": told
        for name, schema in components["schemas"].items()
        for member, told in schema.get("properties", {}).items()
    }
    found |= {f"header {name}": header["schema"] for name, header in components["headers"].items()}
    for name, operation in operations():
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (name, parameter["name"])
            found[f"{name}/{parameter['name']}"] = parameter["schema"]
    lacking = [place for place, told in found.items() if is_leaf(told) and not has_example(told)]
    assert lacking == []


def test_an_open_list_says_so() -> None:
    """Whoever reads the document is told to expect further values."""
    for place, node in nodes(DOCUMENT):
        if "x-extensible-enum" in node and "description" in node:
            assert re.search(r"unknown value|[Ee]xpect (further|others)", node["description"]), (
                place
            )


def test_who_it_is_from_and_where_it_is() -> None:
    """Contact, licence, servers and a version that can be compared."""
    info = DOCUMENT["info"]
    assert info["contact"]["name"]
    assert info["license"]["identifier"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["version"])
    for server in DOCUMENT["servers"]:
        assert server["url"].startswith("https://")
        assert server["x-internal"] is False


def test_codes_are_unique_and_documented() -> None:
    """Each kind of problem has a code of its own, a status, a title and a description."""
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
async def test_the_catalogue_is_served(api: httpx.AsyncClient) -> None:
    """`GET /v1/problems` lists every kind, without a key."""
    answer = await api.get("/v1/problems", headers={"Authorization": ""})
    items = answer.json()["items"]
    assert [(item["code"], item["status"]) for item in items] == [
        (kind.code, kind.status) for kind in catalogue()
    ]
    assert {item["type"] for item in items} == {f"/v1/problems#{k.code}" for k in catalogue()}


def test_the_version_of_the_document() -> None:
    """The document is OpenAPI 3.1.0 and uses nothing of a later version."""
    assert DOCUMENT["openapi"] == "3.1.0"
    assert "itemSchema" not in json.dumps(DOCUMENT)
    assert DOCUMENT["components"]["securitySchemes"]["apiKey"]["type"] == "http"
    assert DOCUMENT["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_nothing_is_deprecated_without_a_date() -> None:
    """Whatever the document calls deprecated has the day of its end."""
    for name, operation in operations():
        assert ("x-sunset" in operation) is operation.get("deprecated", False), name
