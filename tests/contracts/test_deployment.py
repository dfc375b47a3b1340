"""What is deployed: it names only what there is, and gives the API no key that opens a token."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # its types are a package of their own, for three tests
from typer.main import get_command

from partner_connector.cli.commands import cli
from partner_connector.cli.serving import LAST_ANSWERS_SECONDS
from partner_connector.settings import ENV_PREFIX, Settings

Json = dict[str, Any]
CHECKOUT = Path(__file__).parents[2]
MANIFESTS = CHECKOUT / "deploy" / "kubernetes"
SETTINGS = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
COMMANDS = set(get_command(cli).commands)  # type: ignore[attr-defined] # it is a group of commands
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: Json = yaml.safe_load((CHECKOUT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Json] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"] == "partner-connector"}


def documents() -> Iterator[Json]:
    """Every document of every manifest."""
    for path in sorted(MANIFESTS.rglob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


POD_SPECS: dict[str, Json] = {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for document in documents()
    if document["kind"] in {"Deployment", "Job"}
}


def container(name: str) -> Json:
    """The only container of a pod."""
    (only,) = POD_SPECS[name]["containers"]
    found: Json = only
    return found


def variables(name: str) -> dict[str, str]:
    """The plain variables of a pod, those of the settings included."""
    (common,) = [document["data"] for document in documents() if document["kind"] == "ConfigMap"]
    own = {entry["name"]: entry["value"] for entry in container(name).get("env", [])}
    return {**common, **own}


@pytest.mark.parametrize(
    "path",
    [CHECKOUT / "Dockerfile", CHECKOUT / "compose.yaml", *sorted(MANIFESTS.rglob("*.yaml"))],
    ids=lambda path: str(path.relative_to(CHECKOUT)),
)
def test_only_real_settings_are_named(path: Path) -> None:
    """Another one would be ignored in silence."""
    named = re.findall(rf"{ENV_PREFIX}[A-Z_]+", path.read_text(encoding="utf-8"))
    assert set(named) <= SETTINGS


def test_only_real_commands_are_run() -> None:
    """Whatever starts our program asks it for something that it does."""
    default: list[str] = yaml.safe_load(re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[-1])
    asked = [default, *(container(name)["args"] for name in POD_SPECS)]
    asked += [SERVICES[name]["command"] for name in OURS if "entrypoint" not in SERVICES[name]]
    assert {words[0] for words in asked} == {"serve", "worker", "migrate"} <= COMMANDS
    by_shell = re.findall(r"partner-connector ([a-z-]+) ", SERVICES["keys"]["command"][0])
    assert set(by_shell) == {"keys"} <= COMMANDS


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The last stage: a numeric user, a health check, and only what is copied from the first."""
    first, last = DOCKERFILE.split("\nFROM ")[1:]
    assert "\nUSER 10001:10001\n" in last
    assert "\nHEALTHCHECK " in last
    assert re.findall(r"^COPY (.+)$", last, re.MULTILINE) == ["--from=build /app /app"]
    assert "pip uninstall" in last
    assert "--require-hashes" in first
    ignored = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (.+)$", first, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (CHECKOUT / name).exists()
            assert f"!{name.removeprefix('./')}" in ignored


@pytest.mark.parametrize("name", sorted(OURS))
def test_containers_of_the_composition_can_change_nothing(name: str) -> None:
    """Read-only, without capabilities, and no port on other addresses than this host's own."""
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_composition_keeps_private_keys_from_the_api() -> None:
    """Two APIs with the public half and two workers with all of it, none of which can write it."""
    apis = [SERVICES["api-1"], SERVICES["api-2"]]
    workers = [SERVICES["worker-1"], SERVICES["worker-2"]]
    assert [api["volumes"] for api in apis] == [["public-keyring:/data:ro"]] * 2
    assert [worker["volumes"] for worker in workers] == [["keyring:/data:ro"]] * 2
    assert [api for api in apis if f"{ENV_PREFIX}META_APP_SECRET" in api["environment"]] == []
    for worker in workers:
        assert (
            worker["environment"][f"{ENV_PREFIX}METRICS_PORT"]
            in worker["environment"]["HEALTH_URL"]
        )
    balancer = (CHECKOUT / "deploy" / "compose" / "haproxy.cfg").read_text(encoding="utf-8")
    assert re.findall(r"^    server (\S+) (\S+)$", balancer, re.MULTILINE) == [
        (name, f"{name}:8000") for name in ("api-1", "api-2")
    ]
    for api in apis:
        grace = int(api["stop_grace_period"].removesuffix("s"))
        drain = float(api["environment"][f"{ENV_PREFIX}DRAIN_SECONDS"])
        assert grace > drain + LAST_ANSWERS_SECONDS


@pytest.mark.parametrize("name", sorted(POD_SPECS))
def test_pods_can_change_nothing(name: str) -> None:
    """As the `restricted` standard asks for, a read-only root, no credential of the cluster."""
    pod, only = POD_SPECS[name], container(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in only["resources"]["limits"]


def test_the_api_s_pods_have_no_private_key() -> None:
    """Secrets of their own: neither the full keyring nor the app's secret is the API's."""

    def secrets(name: str) -> set[str]:
        of_files = {
            volume["secret"]["secretName"]
            for volume in POD_SPECS[name]["volumes"]
            if "secret" in volume
        }
        of_variables = {
            source["secretRef"]["name"]
            for source in container(name)["envFrom"]
            if "secretRef" in source
        }
        return of_files | of_variables

    assert secrets("api") == {"database", "api-keyring"}
    assert secrets("worker") == {"database", "worker-keyring", "meta-app"}
    assert secrets("migrate") == {"database"}
    assert variables("api")[f"{ENV_PREFIX}KEYRING_FILE"] == "/keys/keyring.public.json"
    # As the recipe in docs/operations.md makes them.
    recipe = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert "generic api-keyring --from-file=keyring.public.json\n" in recipe
    assert "generic worker-keyring --from-file=keyring.json=var/keyring.json\n" in recipe


@pytest.mark.parametrize("name", ["api", "worker"])
def test_probes_ask_what_is_served(name: str) -> None:
    """Ports and paths exist, and whoever is asked to end has the time for it."""
    only, given = container(name), variables(name)
    ports = {port["name"]: port["containerPort"] for port in only["ports"]}
    assert ports.pop("metrics") == int(given[f"{ENV_PREFIX}METRICS_PORT"])
    assert ports == ({"http": int(only["args"][-1])} if name == "api" else {})
    served = {"http": {"/livez", "/readyz"}, "metrics": {"/metrics"}}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe in only:
            asked = only[probe]["httpGet"]
            assert asked["path"] in served[asked["port"]]
    drain = float(given.get(f"{ENV_PREFIX}DRAIN_SECONDS", 0))
    assert POD_SPECS[name]["terminationGracePeriodSeconds"] > drain + LAST_ANSWERS_SECONDS


def test_the_manifests_fit_together() -> None:
    """Every file that a kustomization names is there; selectors find pods, budgets leave one."""
    for path in sorted(MANIFESTS.rglob("kustomization.yaml")):
        kustomization = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert all((path.parent / name).is_file() for name in kustomization["resources"])
    for document in documents():
        match document["kind"]:
            case "Deployment":
                labels = document["spec"]["template"]["metadata"]["labels"]
                assert document["spec"]["selector"]["matchLabels"] == labels
                assert document["spec"]["replicas"] >= 2
                assert document["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
            case "PodDisruptionBudget":
                chosen = document["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
                assert chosen == document["metadata"]["name"]
                assert document["spec"]["minAvailable"] == 1
            case "NetworkPolicy":
                chosen = document["spec"]["podSelector"]["matchLabels"]
                assert chosen.get("app.kubernetes.io/component", "api") in POD_SPECS
