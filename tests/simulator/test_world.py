"""Tests of the invented world and of the command."""

from collections.abc import Sequence

import pytest

from graph_simulator.cli import main
from graph_simulator.control.routes import control_routes
from graph_simulator.truth import tell
from graph_simulator.world import build_world

from .surface import Surface


def test_same_seed_makes_the_same_world() -> None:
    """Compare two worlds of one seed, and one of another seed."""
    first, again, other = (tell(build_world(seed=s, now=1_790_000_000)) for s in (3, 3, 4))
    assert first == again
    assert first["host"]["token"] != other["host"]["token"]


def test_world_has_the_requested_counts() -> None:
    """Count shared assets and people with access of every partner."""
    truth = tell(build_world(partners=5, assets=9, users=11))
    assert [p["relationship"] for p in truth["partners"]] == [
        "agency",
        "client",
        "both",
        "agency",
        "client",
    ]
    for partner in truth["partners"]:
        assert len(partner["shared_assets"]) == 9
        assert sum(person["has_access"] for person in partner["people"]) == 11
        assert partner["people_without_access"] == 3
        assert partner["unshared_assets"]


@pytest.mark.parametrize(
    "relationships", [("agency",), ("client",), ("both",), ("both", "client"), ["agency", "agency"]]
)
def test_relationships_are_taken_in_turn(relationships: Sequence[str]) -> None:
    """Build worlds with one and with several relationships."""
    world = build_world(partners=3, relationships=relationships)
    wanted = [relationships[index % len(relationships)] for index in range(3)]
    for built in (world, world.rebuild()):
        truth = tell(built)
        assert [p["relationship"] for p in truth["partners"]] == wanted
        assert all(len(p["shared_assets"]) == 6 for p in truth["partners"])


@pytest.mark.parametrize(
    ("relationships", "message"), [((), "list"), ("agency", "list"), (["x"], "x")]
)
def test_wrong_relationships_are_refused(relationships: Sequence[str], message: str) -> None:
    """Try an empty list, a text instead of a list, and an unknown word."""
    with pytest.raises(ValueError, match=f"{message}.* agency, client, both"):
        build_world(relationships=relationships)


def test_world_can_be_empty() -> None:
    """Build worlds with zero partners, assets or users."""
    for partners, assets, users in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 0, 1), (2, 1, 1)):
        assert (
            len(tell(build_world(partners=partners, assets=assets, users=users))["partners"])
            == partners
        )


def test_all_kinds_of_assets_are_shared_in_the_right_direction() -> None:
    """Expect four kinds, and the direction that each relationship has."""
    truth = tell(build_world())
    directions = {"agency": {"ours_shared_to_partner"}, "client": {"theirs_shared_to_us"}}
    for partner in truth["partners"]:
        kinds = {asset["type"] for asset in partner["shared_assets"]}
        assert kinds == {"ad_account", "page", "product_catalog", "pixel"}
        expected = directions.get(partner["relationship"], set().union(*directions.values()))
        assert {asset["direction"] for asset in partner["shared_assets"]} == expected


def test_world_has_unusual_data() -> None:
    """Find a missing email, a non-ASCII name, a formula, an unknown task, group-only access."""
    for partner in tell(build_world())["partners"]:
        people = [person for person in partner["people"] if person["has_access"]]
        assert any(person["email"] is None for person in people)
        assert any(not person["name"].isascii() for person in people)
        assert any(person["name"].startswith("=HYPERLINK") for person in people)
        tasks = {t for person in people for a in person["assets"] for t in a["tasks"]}
        assert "SPATIAL_PREVIEW_BETA" in tasks
        assert any({a["via"] for a in person["assets"]} == {"group"} for person in people)
        assert {person["two_fac_status"] for person in people} >= {None, "enabled", "disabled"}
        assert {"ADMIN", "EMPLOYEE", "FINANCE_EDITOR"} <= {person["role"] for person in people}


def test_tokens_look_like_metas_and_differ() -> None:
    """Expect long texts that start with EAA, one for each kind, all different."""
    truth = tell(build_world())
    tokens = [t for p in truth["partners"] for t in p["tokens"].values()]
    assert set(truth["partners"][0]["tokens"]) == {
        "good",
        "expired",
        "revoked",
        "wrong_app",
        "user_type",
        "expiring",
        "missing_scope",
        "narrowed",
        "employee",
    }
    assert len(set(tokens)) == len(tokens)
    assert all(t.startswith("EAA") and t.isalnum() and len(t) >= 100 for t in tokens)


async def test_index_lists_every_operation(surface: Surface) -> None:
    """Compare the index with the routes; expect one line for each operation."""
    index = (await surface.http.get("/__simulator__/")).json()
    listed = {tuple(operation.split()) for operation in index["operations"]}
    routed = {
        (method, f"/__simulator__{route.path}")
        for route in control_routes()
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert listed == routed
    for part in ("operations", "fault_match", "fault_kinds", "mutations"):
        assert index[part]
        assert all(about and "\n" not in about for about in index[part].values())


def test_help_shows_how_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for wanted in (
        "stand-in for Meta's Graph API",
        "/__simulator__/",
        "graph-simulator --port 8001",
        "curl -s localhost:8001/v26.0/me",
        "agency,client,both",
    ):
        assert wanted in printed


@pytest.mark.parametrize("words", ["agency,customer", "", "agency,", "Agency"])
def test_command_refuses_unknown_relationships(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Expect exit code 2 and the known relationships."""
    with pytest.raises(SystemExit) as ended:
        main(["--port", "0", "--relationships", words])
    assert ended.value.code == 2
    assert "is not one of agency, client, both" in capsys.readouterr().err


async def test_reset_restores_the_first_state(surface: Surface) -> None:
    """Change world, switches and faults, then reset."""
    before = surface.truth
    await surface.mutate("end_partnership", partner=surface.partner()["id"])
    await surface.switch(max_page_limit=3)
    await surface.fault({"http": 500})
    await surface.http.post("/__simulator__/reset")
    after = (await surface.http.get("/__simulator__/world")).json()
    assert [p["shared_assets"] for p in after["partners"]] == [
        p["shared_assets"] for p in before["partners"]
    ]
    assert after["host"]["token"] == before["host"]["token"]
    values = (await surface.http.get("/__simulator__/switches")).json()["values"]
    assert values["max_page_limit"] == 500
    assert (await surface.calls())["counted_calls"] == 0
    assert (await surface.get("me")).status_code == 200
