"""Settings of all processes, read once at startup and passed on.

Each setting is the environment variable `PARTNER_CONNECTOR_<NAME>` or a line of `.env`. A wrong
setting stops the program with the *name* of the setting and the expected form, never its value.
"""

import difflib
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from partner_connector.errors import OperatorError

ENV_PREFIX = "PARTNER_CONNECTOR_"
RATE_LIMIT_FORM = re.compile(r"^[1-9][0-9]{0,8}/(second|minute|hour)$|^off$")


class SettingsError(OperatorError):
    """Wrong settings. Each line of the text names one setting and the expected form."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(["wrong configuration:", *lines]))


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _database_url(value: SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    try:
        drivername = make_url(value.get_secret_value()).drivername
    except (ArgumentError, ValueError):
        raise ValueError("must be a sqlite:/// or postgresql:// URL") from None
    backend = drivername.split("+")[0]
    if backend not in {"sqlite", "postgresql"}:
        raise ValueError("must be a sqlite:/// or postgresql:// URL")
    if backend == "sqlite" and make_url(value.get_secret_value()).database in {
        None,
        "",
        ":memory:",
    }:
        raise ValueError("must name a file: sqlite:///path")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _public_url(value: str | None) -> str | None:
    if value is None:
        return None
    parts = _base_url(value)
    if parts.path not in {"", "/"} and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", parts.path):
        raise ValueError("must have a plain path or none")
    return value.rstrip("/")


def _origins(value: str) -> str:
    for origin in value.split(","):
        if value and _base_url(origin.strip()).path:
            raise ValueError("must be origins with commas between them, such as https://a.example")
    return value


def _graph_base_url(value: str) -> str:
    if _base_url(value).path not in {"", "/"}:
        raise ValueError("must be an origin: no path")
    return value.rstrip("/")


def _traces_endpoint(value: str | None) -> str | None:
    """Check the endpoint. Plain http is common in clusters, and spans hold no secrets."""
    if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError("must be a http:// or https:// URL with no user, query or fragment")
    return value


def _base_url(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("must be an absolute https:// URL") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must be an absolute https:// URL")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must be https:// (plain http is accepted for this machine only)")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must have no user, query or fragment")
    return parts


def _rate_limit(value: str) -> str:
    if not RATE_LIMIT_FORM.match(value):
        raise ValueError("must be N/second, N/minute, N/hour or off")
    return value


class Settings(BaseSettings):
    """Settings of this deployment; `docs/reference/settings.md` explains each of them."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    data_dir: Path = Path("./var")
    database_url: Annotated[SecretStr | None, AfterValidator(_database_url)] = None
    graph_base_url: Annotated[str, AfterValidator(_graph_base_url)] = "https://graph.facebook.com"
    graph_version: Annotated[str, Field(pattern=r"^v[0-9]{1,3}\.[0-9]$")] = "v26.0"
    graph_concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    meta_app_id: Annotated[str, Field(pattern=r"^[0-9]{5,25}$")] = "2965389650414399"
    meta_app_secret: SecretStr | None = None
    appsecret_proof: Literal["off", "plain", "timed"] = "off"
    keyring_file: Path | None = None
    product_name: Annotated[str, Field(max_length=60, pattern=r"^[^\x00-\x1f<>]*$")] = ""
    rate_limit: Annotated[str, AfterValidator(_rate_limit)] = "600/minute"
    require_sealed_tokens: bool = False
    traces_endpoint: Annotated[str | None, AfterValidator(_traces_endpoint)] = None
    metrics_port: Annotated[int | None, Field(ge=0, le=65535)] = None
    webhook_allow_loopback: bool = False
    assert_lock_order: bool = False
    drain_seconds: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = 0
    event_stream_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    public_url: Annotated[str | None, AfterValidator(_public_url)] = None
    cors_origins: Annotated[str, AfterValidator(_origins)] = ""
    retention_days: Annotated[float, Field(gt=0, le=3650)] = 30
    engine_retention_days: Annotated[float, Field(gt=0, le=3650)] = 3
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
    ] = "INFO"
    log_format: Literal["console", "json"] = "json"

    @property
    def uses_sqlite(self) -> bool:
        """True if the database is SQLite, which one process uses and creates by itself."""
        return self.sqlalchemy_url().get_backend_name() == "sqlite"

    @property
    def browser_origins(self) -> list[str]:
        """Origins whose web pages may call this API from a browser."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    def sqlalchemy_url(self) -> URL:
        """Return the URL of the database for SQLAlchemy, without a driver."""
        if self.database_url is None:
            return URL.create("sqlite", database=str(self.data_dir / "partner-connector.db"))
        url = make_url(self.database_url.get_secret_value())
        return url.set(drivername=url.get_backend_name())

    @property
    def private_keyring_file(self) -> Path:
        """Path of the keyring whose private half decrypts tokens; for worker hosts only."""
        return self.keyring_file or self.data_dir / "keyring.json"

    @property
    def public_keyring_file(self) -> Path:
        """Path of the keyring for the API, whose public half can only encrypt tokens."""
        return self.keyring_file or self.data_dir / "keyring.public.json"

    def onboarding_label(self, status: str) -> str:
        """Return the text for an onboarding status, with the product's name if one is set."""
        product = f" {self.product_name}" if self.product_name else ""
        words = {
            "pending_onboarding": f"Pending{product} onboarding",
            "onboarded": f"{self.product_name} onboarded" if product else "Onboarded",
            "needs_attention": "Needs attention",
        }
        return words[status]


# Kubernetes sets such variables for a Service whose name starts with `partner-connector`.
_OF_KUBERNETES = re.compile(r"(.*_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")


def _unknown_settings() -> list[str]:
    """Return a line for each variable with our prefix that is no setting, never its value."""
    known = [name.upper() for name in Settings.model_fields]
    lines = []
    sources = DotEnvSettingsSource(Settings), EnvSettingsSource(Settings)
    for variable, value in sorted({**sources[0].env_vars, **sources[1].env_vars}.items()):
        name = variable.upper().removeprefix(ENV_PREFIX)
        is_ours = variable.upper().startswith(ENV_PREFIX) and not _OF_KUBERNETES.fullmatch(name)
        if name in known or not is_ours or (value or "").startswith(("tcp://", "udp://")):
            continue
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {ENV_PREFIX}{nearest[0]}?" if nearest else ""
        lines.append(f"{ENV_PREFIX}{name}: is not a setting{hint}")
    return lines


def load_settings(**overrides: Any) -> Settings:
    """Read the environment. Raises `SettingsError`, which names every wrong or unknown setting."""
    if unknown := _unknown_settings():
        raise SettingsError(*unknown)
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        lines = [f"{ENV_PREFIX}{str(p['loc'][0]).upper()}: {p['msg']}" for p in problems]
        raise SettingsError(*lines) from None
    if settings.appsecret_proof != "off" and settings.meta_app_secret is None:
        raise SettingsError(
            f"{ENV_PREFIX}META_APP_SECRET: is required when {ENV_PREFIX}APPSECRET_PROOF is on"
        )
    return settings


def without_environment(**values: Any) -> Settings:
    """Return settings with these values and defaults for the rest; ignore the environment."""
    unset = {name: field.get_default() for name, field in Settings.model_fields.items()}
    return Settings(**(unset | values))
