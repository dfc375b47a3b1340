"""`make image`: build the image, inspect it, and run a customer's requests against it.

Needs root, podman, and for a stand-in of the base image debootstrap; no daemon and no registry.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.image.engine import Engine
from tests.journey import truth
from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.meta import Json, Meta

CHECKOUT = Path(__file__).parents[2]
TAG = "localhost/partner-connector"
STAND_IN = "localhost/python-stand-in"
API, GRAPH = "http://127.0.0.1:18000", "http://127.0.0.1:18001"
# Programs that build, fetch or install. (Debian's own dpkg and apt are in every image of Python.)
_TOOLS = ("cc", "gcc", "make", "ld", "git", "curl", "wget", "pip", "uv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, inspect and run; raise an exception where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--base", help="of the image; without it a stand-in is made")
    parser.add_argument("--directory", type=Path, help="keeps what is built; default none")
    asked = parser.parse_args(arguments)
    with _directory(asked.directory) as directory:
        engine = Engine(directory)
        began = time.monotonic()
        engine.build(CHECKOUT, asked.base or _stand_in(engine), TAG)
        _print(f"built in {time.monotonic() - began:.0f} s; {_megabytes(engine, TAG)} MB")
        _look_into(engine)
        _walk_through(engine)
    return 0


@contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="image-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _stand_in(engine: Engine) -> str:
    if STAND_IN not in engine.podman("images", "--format", "{{.Repository}}"):
        engine.stand_in(STAND_IN)
    _print(f"base: a stand-in of {_megabytes(engine, STAND_IN)} MB")
    return STAND_IN


def _megabytes(engine: Engine, tag: str) -> int:
    return int(engine.podman("inspect", "--format", "{{.Size}}", tag)) // 1_000_000


def _look_into(engine: Engine) -> None:
    """Assert the user of the image, and that it lacks tools and permissions."""
    look = "\n".join(
        [
            "id -u; pwd",
            f"for tool in {' '.join(_TOOLS)}; do command -v $tool; done",
            "find / -xdev -type f -perm /6000 2> /dev/null",
            "python -c 'import pip' 2> /dev/null && echo pip",
            "python -c 'import ensurepip' 2> /dev/null && echo ensurepip",
            "for place in / /app /usr /etc; do touch $place/x 2> /dev/null && echo $place; done",
            "touch /data/x /tmp/x && rm /data/x /tmp/x",
            "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status",
            "true",
        ]
    )
    seen = engine.run("--rm", "--entrypoint", "sh", TAG, "-c", look).split()
    nothing = "0000000000000000"
    expected = ["10001", "/data", "CapEff:", nothing, "CapBnd:", nothing, "NoNewPrivs:", "1"]
    assert seen == expected, seen
    _print("user 10001, read-only root, no capability, no build tool, no pip, no set-uid file")


def _walk_through(engine: Engine) -> None:
    """Connect and check a partner with API and worker in one container.

    The stored data must survive a restart on the same volume.
    """
    settings = {"GRAPH_BASE_URL": GRAPH, "RATE_LIMIT": "off"}
    simulator = ("--entrypoint", "graph-simulator", "--no-healthcheck", TAG)
    with engine.running("simulator", *simulator, "--port", GRAPH.rsplit(":", 1)[1]):
        wait_until(lambda: _answers(f"{GRAPH}/__simulator__/world"), bool)
        meta = Meta(GRAPH)
        settings["META_APP_SECRET"] = str(meta.world()["app"]["secret"])
        with _serving(engine, settings):
            tenant = _tenant(engine)
            caller = Caller(API, meta, tenant, [])
            _, partners = caller.discover()
            partner = caller.connected(first_with(partners, "agency"))
            _assert_true(caller, meta, partner)
            # The image's own health check, as an engine runs it.
            engine.podman("healthcheck", "run", "connector")
            seconds, code = engine.stop("connector")
            assert code == 0, code
            _print(f"a partner connected and checked; health check passes; SIGTERM {seconds:.1f} s")
        with _serving(engine, settings):
            _assert_true(caller, meta, partner)
            caller.check(partner)
            _print("a new container on the same volume has all users, and checks again")
        caller.close()
        meta.close()


@contextmanager
def _serving(engine: Engine, settings: dict[str, str]) -> Iterator[None]:
    options = [f"--env=PARTNER_CONNECTOR_{name}={value}" for name, value in settings.items()]
    options += ["--volume=connector-data:/data", f"--env=HEALTH_URL={API}/livez"]
    port = API.rsplit(":", 1)[1]
    began = time.monotonic()
    with engine.running("connector", *options, TAG, "serve", "--with-worker", "--port", port):
        wait_until(lambda: _answers(f"{API}/readyz"), bool)
        _print(f"ready {time.monotonic() - began:.1f} s after it was started")
        yield


def _tenant(engine: Engine) -> Json:
    def made(*command: str) -> Json:
        answer: Json = json.loads(
            engine.podman("exec", "connector", "partner-connector", *command, "--json")
        )
        return answer

    workspace = made("workspace", "create", "Acme")["id"]
    key = made("api-key", "create", "--workspace", workspace, "--scope", "all")["api_key"]
    return {"workspace_id": workspace, "api_key": key}


def _assert_true(caller: Caller, meta: Meta, partner: Json) -> None:
    known = meta.partner(partner["meta_business_id"])
    shown = truth.shown_users(caller.users(partner))
    assert shown == truth.users(known)
    assert shown


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
