"""The command `graph-simulator`: one process, one world, one port."""

import argparse
import socket
import sys
from collections.abc import Sequence

import uvicorn

from graph_simulator.app import create_app
from graph_simulator.world import build_world

BACKLOG = 2048


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        listener = _listen(options.host, options.port)
    except (OSError, OverflowError) as error:  # the latter for a port beyond 65535
        reason = getattr(error, "strerror", None) or str(error)
        print(f"cannot listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
        return 1
    world = build_world(
        seed=options.seed,
        partners=options.partners,
        assets=options.assets,
        users=options.users,
    )
    url = f"http://{options.host}:{listener.getsockname()[1]}"
    print(f"Graph simulator on {url} (truth: {url}/__simulator__/)", flush=True)
    config = uvicorn.Config(
        create_app(world), log_level="warning", access_log=False, lifespan="off"
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        return 0
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Listen before anything is printed, so that the printed address answers."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="graph-simulator", description="A stand-in for Meta's Graph API."
    )
    parser.add_argument("--port", type=int, required=True, help="0 takes any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same world")
    parser.add_argument("--partners", type=_count, default=4)
    parser.add_argument("--assets", type=_count, default=6, help="shared assets of each partner")
    parser.add_argument("--users", type=_count, default=8, help="people with access per partner")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number
