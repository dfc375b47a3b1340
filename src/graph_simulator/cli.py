"""The command `graph-simulator`: one process, one world, one port."""

import argparse
import socket
import sys
from collections.abc import Sequence

import uvicorn

from graph_simulator.app import create_app
from graph_simulator.world import RELATIONSHIPS, build_world

BACKLOG = 2048
DESCRIPTION = """\
A stand-in for Meta's Graph API over real HTTP. It holds an invented business with partners, people,
assets and tokens, answers reads as Meta's public documentation describes, and refuses every write.
Under /__simulator__/ it shows the truth about its world, the tokens included, and lets you add
faults, set switches and change the world. It keeps everything in memory only."""
EXAMPLES = """\
examples:
  graph-simulator --port 8001
  curl -s localhost:8001/__simulator__/world      # the whole world, with its tokens
  curl -s localhost:8001/v26.0/me -H "Authorization: Bearer $TOKEN"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        listener = _listen(options.host, options.port)
    except (OSError, OverflowError) as error:  # OverflowError: a port above 65535
        reason = getattr(error, "strerror", None) or str(error)
        print(f"cannot listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
        return 1
    world = build_world(
        seed=options.seed,
        partners=options.partners,
        assets=options.assets,
        users=options.users,
        relationships=options.relationships,
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
    """Open the listening socket, before the address is printed, so that it answers at once."""
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
        prog="graph-simulator",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, required=True, help="port to listen on; 0 takes any free port")
    add("--host", default="127.0.0.1", help="address to listen on; default %(default)s")
    add(
        "--seed",
        type=int,
        default=1,
        help="the same seed makes the same world; default %(default)s",
    )
    add("--partners", type=_count, default=4, help="partners of our business; default %(default)s")
    add("--assets", type=_count, default=6, help="shared assets per partner; default %(default)s")
    add(
        "--users", type=_count, default=8, help="users with access per partner; default %(default)s"
    )
    add(
        "--relationships",
        type=_relationships,
        default=RELATIONSHIPS,
        metavar="LIST",
        help="relationships given to the partners in turn; default agency,client,both",
    )
    return parser


def _relationships(text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    wrong = [word for word in words if word not in RELATIONSHIPS]
    if wrong:
        known = ", ".join(RELATIONSHIPS)
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is not one of {known}")
    return words


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number
