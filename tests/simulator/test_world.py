"""The invented world and the truth it tells."""

from collections.abc import Sequence

import pytest

from graph_simulator.cli import main
from graph_simulator.control.routes import control_routes
from graph_simulator.truth import tell
from graph_simulator.world import build_world

from .surface import Surface


def test_same_seed_is_the_same_world_and_another_seed_is_not() -> None:
    """Ids, names and tokens depend on the arguments alone."""
    first, again, other = (tell(build_world(seed=s, now=1_790_000_000)) for s in (3, 3, 4))
    assert first == again
    assert first["host"]["token"] != other["host"]["token"]


def test_counts_are_the_ones_asked_for() -> None:
    """`assets` counts shared assets and `users` people with access, for every partner."""
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
    """A world of clients only, or of whatever a test is about."""
    world = build_world(partners=3, relationships=relationships)
    wanted = [relationships[index % len(relationships)] for index in range(3)]
    for built in (world, world.rebuild()):
        truth = tell(built)
        assert [p["relationship"] for p in truth["partners"]] == wanted
        assert all(len(p["shared_assets"]) == 6 for p in truth["partners"])


@pytest.mark.parametrize(
    ("relationships", "said"), [((), "list"), ("agency", "list"), (["x"], "x")]
)
def test_wrong_relationships_are_refused(relationships: Sequence[str], said: str) -> None:
    """None at all, a word instead of a list, an unknown word."""
    with pytest.raises(ValueError, match=f"{said}.* agency, client, both"):
        build_world(relationships=relationships)


def test_a_world_may_be_tiny() -> None:
    """Zero of anything still builds and tells."""
    for partners, assets, users in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 0, 1), (2, 1, 1)):
        assert (
            len(tell(build_world(partners=partners, assets=assets, users=users))["partners"])
            == partners
        )


def test_all_kinds_of_asset_are_shared_in_the_right_directions() -> None:
    """Six assets are of four kinds; agencies use ours, clients share theirs, both do both."""
    truth = tell(build_world())
    directions = {"agency": {"ours_shared_to_partner"}, "client": {"theirs_shared_to_us"}}
    for partner in truth["partners"]:
        kinds = {asset["type"] for asset in partner["shared_assets"]}
        assert kinds == {"ad_account", "page", "product_catalog", "pixel"}
        expected = directions.get(partner["relationship"], set().union(*directions.values()))
        assert {asset["direction"] for asset in partner["shared_assets"]} == expected


def test_quirks_of_real_data_are_there() -> None:
    """A missing e-mail, a name outside ASCII, a formula, an unknown task, a group-only person."""
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
    """Long, EAA…, one for every way of being wrong, all different."""
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
    """The control surface documents itself, one line each, and forgets no route."""
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


def test_help_is_enough_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    """What it is, how to start it, how to ask it, and where its truth is."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for wanted in (
        "stand-in for Meta's Graph API",
        "/__simulator__/",
        "graph-simulator --port 8001",
        "curl -s localhost:8001/v26.0/me",
        "agency,client,both",
    ):
        assert wanted in told


@pytest.mark.parametrize("words", ["agency,customer", "", "agency,", "Agency"])
def test_the_command_refuses_unknown_relationships(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the word, the known ones, and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(["--port", "0", "--relationships", words])
    assert ended.value.code == 2
    assert "is not one of agency, client, both" in capsys.readouterr().err


async def test_reset_rebuilds_everything(surface: Surface) -> None:
    """After a reset the world, switches, faults and counters are as at the start."""
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
