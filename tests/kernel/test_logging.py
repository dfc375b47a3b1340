"""Logs: one event a line, and no secret in it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from partner_connector import credentials
from partner_connector.settings import without_environment
from partner_connector.telemetry.logging import configure_logging

TOKEN = "EAABsbCS1iHgBO0made0up0for0these0tests0only"
KEY = credentials.mint(b"p" * 32).secret
CODE = credentials.mint(b"p" * 32, credentials.CODE_PREFIX).secret
APP_TOKEN = "2965389650414399|abcdefghijklmnopqrstu"
SIGNING_SECRET = "whsec_NotARealSecretNotARealSecret+/="
SECRETS = [TOKEN, KEY, CODE, APP_TOKEN, SIGNING_SECRET]


@pytest.fixture(params=["json", "console"])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Stream with all log output, in each of the two formats."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    out = io.StringIO()
    configure_logging(without_environment(log_format=request.param, log_level="DEBUG"), out)
    yield out
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers = handlers
    root.setLevel(level)


class Revealing:
    """Object whose `repr` shows a secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"Revealing({self.secret})"


@pytest.mark.parametrize(
    "secret", SECRETS, ids=["token", "key", "code", "app token", "signing secret"]
)
def test_secret_in_field_is_redacted(stream: io.StringIO, secret: str) -> None:
    """Check that a secret in the event, a field, a list, a mapping or the bound context is
    redacted.
    """
    log = structlog.get_logger("ours")
    structlog.contextvars.bind_contextvars(bound=f"x {secret} y")
    log.info("event " + secret)  # noqa: G003 - the test covers code that breaks this rule
    log.info("event", field=secret, url=f"https://x/?access_token={secret}&a=1")
    log.info("event", field=[secret, {"deep": (secret,)}])
    log.bind(more=secret).warning("event")
    assert stream.getvalue().count("[redacted]") >= 8
    assert secret not in stream.getvalue()


@pytest.mark.parametrize(
    "secret", SECRETS, ids=["token", "key", "code", "app token", "signing secret"]
)
def test_secret_in_text_of_object_is_redacted(stream: io.StringIO, secret: str) -> None:
    """Check that a secret in the text of an object, an exception or bytes is redacted."""
    log = structlog.get_logger("ours")
    log.info("event", error=ValueError(secret))
    log.info("event", thing=Revealing(secret))
    log.info("event", raw=secret.encode())
    log.info("event", several={secret})
    log.info("event", a={secret: 1})
    assert stream.getvalue().count("event") >= 5
    assert secret not in stream.getvalue()


def _refuse(secret: str, local: str) -> None:
    raise RuntimeError(f"refused {secret} after {len(local)}")


@pytest.mark.parametrize(
    "secret", SECRETS, ids=["token", "key", "code", "app token", "signing secret"]
)
def test_secret_in_traceback_is_redacted(stream: io.StringIO, secret: str) -> None:
    """Check that a traceback shows neither local variables nor a secret in its message."""
    try:
        _refuse(secret, "local-" + "canary")
    except RuntimeError:
        structlog.get_logger("ours").exception("event")
        logging.getLogger("theirs").exception("event")
    text = stream.getvalue()
    assert text.count("RuntimeError") >= 2
    assert secret not in text
    assert "local-canary" not in text


@pytest.mark.parametrize(
    "secret", SECRETS, ids=["token", "key", "code", "app token", "signing secret"]
)
def test_secret_in_log_of_library_is_redacted(stream: io.StringIO, secret: str) -> None:
    """Check that a library's log messages are redacted too, arguments included."""
    library = logging.getLogger("theirs")
    library.warning("calling %s", secret)
    library.warning("calling %(url)s", {"url": f"/?t={secret}"})
    library.warning("with extra", extra={"token": secret})
    assert stream.getvalue().count("calling") == 2
    assert secret not in stream.getvalue()


@pytest.mark.parametrize(
    "name", ["httpx", "httpcore", "aiosqlite", "alembic", "asyncio", "dbos", "uvicorn.access"]
)
def test_libraries_log_from_warning_on(stream: io.StringIO, name: str) -> None:
    """Check that libraries that log URLs or statements log from WARNING on, even at level DEBUG."""
    logging.getLogger(name).info("GET https://graph.facebook.com/?canary=1")
    logging.getLogger(f"{name}.deep").debug("canary")
    assert stream.getvalue() == ""


def test_fields_of_graph_library_are_logged(stream: io.StringIO) -> None:
    """Check that the Graph library passes its fields as `extra`, and they are in the log line."""
    library = logging.getLogger("partner_connector.graph.sender")
    library.warning("graph_version_differs", extra={"asked": "v26.0", "served": "v27.0"})
    assert "v27.0" in stream.getvalue()


def test_line_break_in_value_forges_no_line(stream: io.StringIO) -> None:
    """Check that a line break in a value does not create a second line that looks like an event."""
    structlog.get_logger("ours").info("event", field='x\n{"event": "forged"}\r\nforged')
    lines = stream.getvalue().strip().splitlines()
    assert not [line for line in lines if line.startswith(("forged", '{"event": "forged"'))]


def test_json_format_has_one_object_a_line() -> None:
    """Check that each line is an object with the time in UTC, level, logger and event."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    out = io.StringIO()
    configure_logging(without_environment(log_format="json", log_level="INFO"), out)
    try:
        structlog.get_logger("ours").info("one", number=1)
        structlog.get_logger("ours").debug("not shown")
        logging.getLogger("theirs").warning("two")
    finally:
        structlog.reset_defaults()
        root.handlers = handlers
        root.setLevel(level)
    one, two = (json.loads(line) for line in out.getvalue().splitlines())
    assert (one["event"], one["number"], one["level"], one["logger"]) == ("one", 1, "info", "ours")
    assert one["timestamp"].endswith("Z")
    assert (two["event"], two["level"], two["logger"]) == ("two", "warning", "theirs")
