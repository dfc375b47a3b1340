"""The lists of facts: a new fact appears everywhere, and each edge asks for its fields."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

from partner_connector.db.facts import ASSET, PERSON, SHARE, FactChange
from partner_connector.features.changes.schemas import ChangeKind
from partner_connector.graph import edges


def test_made_up_fact_of_user_appears_everywhere(tmp_path: Path) -> None:
    """Add one member to the list, and find it in staging, tables, plan, feed, CSV and schemas."""
    program = "import tests.sync.made_up_fact, tests.sync.nickname"
    result = json.loads(subprocess.check_output([sys.executable, "-c", program, str(tmp_path)]))

    changes = {change["kind"]: change for change in result["feed"]}
    assert changes["user_joined"]["after"]["nickname"] == "Addy"
    renamed = changes["user_name_changed"]
    assert renamed["before"] == {"name": "Ada", "title": None, "nickname": "Addy"}
    assert renamed["after"] == {"name": "Ada", "title": None, "nickname": "Ads"}
    (row,) = csv.DictReader(result["csv"].splitlines())
    assert row["nickname"] == "Ads"
    view = result["schemas"]["PartnerUserView"]
    assert view["properties"]["nickname"]["examples"] == ["Addy"]
    assert "nickname" in view["required"]
    assert "nickname" in result["schemas"]["ChangeFacts"]["properties"]


def test_edges_ask_for_field_of_every_fact() -> None:
    people, assigned = edges.business_users("1"), edges.assigned_users("act_1", "1")
    for fact in PERSON.values():
        assert fact.field is None or fact.field in people.fields
        assert not fact.on_assets or fact.field in assigned.fields
    for fact in (ASSET | SHARE).values():
        assert fact.field is None or fact.field in edges.client_pages("1").fields


def test_every_fact_of_user_has_a_kind_of_change() -> None:
    """Require that the API lists that kind."""
    assert {fact.change for fact in PERSON.values()} == set(get_args(FactChange))
    assert set(get_args(FactChange)) <= set(get_args(ChangeKind))
