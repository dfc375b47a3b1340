"""Deployment files: they use only names that exist, and give the API no private key."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # its types are a package of their own, for three tests
from typer.main import get_command

from partner_connector.cli.commands import cli
from partner_connector.cli.serving import SHUTDOWN_GRACE_SECONDS
from partner_connector.settings import ENV_PREFIX, Settings

Json = dict[str, Any]
CHECKOUT = Path(__file__).parents[2]
MANIFESTS = CHECKOUT / "deploy" / "kubernetes"
SETTINGS = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
COMMANDS = set(get_command(cli).commands)  # type: ignore[attr-defined] # a group of commands
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: Json = yaml.safe_load((CHECKOUT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Json] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"] == "partner-connector"}


def documents() -> Iterator[Json]:
    """Yield every document of every manifest."""
    for path in sorted(MANIFESTS.rglob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


POD_SPECS: dict[str, Json] = {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for document in documents()
    if document["kind"] in {"Deployment", "Job"}
}


def container(name: str) -> Json:
    """Return the only container of a pod."""
    (only,) = POD_SPECS[name]["containers"]
    found: Json = only
    return found


def variables(name: str) -> dict[str, str]:
    """Return the plain variables of a pod, including those of the ConfigMap."""
    (common,) = [document["data"] for document in documents() if document["kind"] == "ConfigMap"]
    own = {entry["name"]: entry["value"] for entry in container(name).get("env", [])}
    return {**common, **own}


@pytest.mark.parametrize(
    "path",
    [CHECKOUT / "Dockerfile", CHECKOUT / "compose.yaml", *sorted(MANIFESTS.rglob("*.yaml"))],
    ids=lambda path: str(path.relative_to(CHECKOUT)),
)
def test_files_use_existing_settings(path: Path) -> None:
    """Catch unknown settings, which the program ignores silently."""
    named = re.findall(rf"{ENV_PREFIX}[A-Z_]+", path.read_text(encoding="utf-8"))
    assert set(named) <= SETTINGS


def test_files_run_existing_commands() -> None:
    """Check that every file that starts the program runs an existing command."""
    default: list[str] = yaml.safe_load(re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[-1])
    commands = [default, *(container(name)["args"] for name in POD_SPECS)]
    commands += [SERVICES[name]["command"] for name in OURS if "entrypoint" not in SERVICES[name]]
    assert {words[0] for words in commands} == {"serve", "worker", "migrate"} <= COMMANDS
    shell_commands = re.findall(r"partner-connector ([a-z-]+) ", SERVICES["keys"]["command"][0])
    assert set(shell_commands) == {"keys"} <= COMMANDS


def test_image_runs_as_unprivileged_user() -> None:
    """Check that the last stage has a numeric user, a health check and only files of the first."""
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
def test_compose_containers_are_read_only(name: str) -> None:
    """Check that each is read-only, has no capabilities, and has ports on 127.0.0.1 only."""
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_compose_gives_api_no_private_key() -> None:
    """Check that APIs mount the public half and workers the whole keyring, both read-only."""
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
        assert grace > drain + SHUTDOWN_GRACE_SECONDS


@pytest.mark.parametrize("name", sorted(POD_SPECS))
def test_pods_are_restricted_and_read_only(name: str) -> None:
    """Check the `restricted` standard, a read-only root and no credential of the cluster."""
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


def test_api_pods_have_no_private_key() -> None:
    """Check that the API's pods mount neither the full keyring nor the app secret."""

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
    # The recipe in docs/how-to/run-in-production.md creates them.
    recipe = (CHECKOUT / "docs" / "how-to" / "run-in-production.md").read_text(encoding="utf-8")
    assert "generic api-keyring --from-file=keyring.public.json\n" in recipe
    assert "generic worker-keyring --from-file=keyring.json=var/keyring.json\n" in recipe


@pytest.mark.parametrize("name", ["api", "worker"])
def test_probes_use_existing_ports_and_paths(name: str) -> None:
    """Check that probed ports and paths exist, and that the grace period is long enough."""
    only, environment = container(name), variables(name)
    ports = {port["name"]: port["containerPort"] for port in only["ports"]}
    assert ports.pop("metrics") == int(environment[f"{ENV_PREFIX}METRICS_PORT"])
    assert ports == ({"http": int(only["args"][-1])} if name == "api" else {})
    served = {"http": {"/livez", "/readyz"}, "metrics": {"/metrics"}}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe in only:
            http_get = only[probe]["httpGet"]
            assert http_get["path"] in served[http_get["port"]]
    drain = float(environment.get(f"{ENV_PREFIX}DRAIN_SECONDS", 0))
    assert POD_SPECS[name]["terminationGracePeriodSeconds"] > drain + SHUTDOWN_GRACE_SECONDS


def test_manifests_are_consistent() -> None:
    """Check that files of kustomizations exist, selectors match pods, and budgets keep one pod."""
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
