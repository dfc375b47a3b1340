"""Test of our own lint rules: a document with one fault for each rule."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # its types are a package of their own, for a few tests

from tests.judges.tools import DOCUMENT, ENVIRONMENT, HERE, npm

RULES = HERE / "spectral.yaml"
_PARTNERS = "/v1/partners"
_INTEGRATIONS = "/v1/integrations"


def _add_faults(document: dict[str, Any]) -> None:
    """Add one fault for each rule, in places that no other fault touches."""
    paths, schemas = document["paths"], document["components"]["schemas"]
    schemas["PartnerView"]["properties"]["onboardingStatus"] = {"type": "string"}
    schemas["PartnerView"]["properties"]["api_key"] = {"type": "string"}
    schemas["PartnerView"]["properties"]["seen"] = {"type": "string", "format": "date-time"}
    schemas["PartnerView"]["properties"]["mood"] = {"type": "string", "x-extensible-enum": ["good"]}
    schemas["PartnerPage"]["properties"].pop("next_cursor")
    listed = paths[_PARTNERS]["get"]
    listed["operationId"] = "ListPartners"
    listed["tags"] = []
    listed["parameters"] += [
        {"name": "pageSize", "in": "query", "schema": {"type": "string"}},
        {"name": "x_tenant", "in": "header", "schema": {"type": "string"}},
    ]
    listed["responses"]["400"] = {
        "description": "Broken.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    made = paths[_INTEGRATIONS]["post"]
    made["responses"]["201"]["headers"].pop("Location")
    made["responses"]["202"] = {"description": "Wait.", "headers": {}}
    made["requestBody"]["content"]["application/json"]["schema"] = {"type": "object"}
    paths["/v1/Partner_List/"] = copy.deepcopy(paths[_PARTNERS])


def rules_without_a_finding(directory: Path) -> list[str]:
    """Return the names of our own rules that find no fault in the document."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    _add_faults(document)
    spoilt = directory / "spoilt.json"
    spoilt.write_text(json.dumps(document), encoding="utf-8")
    command = (npm("spectral"), "lint", spoilt, "--ruleset", RULES, "--format", "json", "--quiet")
    done = subprocess.run(
        [str(part) for part in command],
        cwd=HERE,
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    found = {finding["code"] for finding in json.loads(done.stdout)}
    return sorted(set(yaml.safe_load(RULES.read_text(encoding="utf-8"))["rules"]) - found)
