"""Settings: a wrong value stops the program; the error names the setting, not the value."""

from pathlib import Path

import pytest

from partner_connector.settings import (
    ENV_PREFIX,
    Settings,
    SettingsError,
    load_settings,
    without_environment,
)

CANARY = "canary8a1f"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Environment without settings of this machine and without `.env` of this checkout."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{ENV_PREFIX}{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", CANARY),
        ("DATABASE_URL", f"mysql://u:{CANARY}@host/db"),
        ("DATABASE_URL", f"postgresql://u:p@{CANARY}:{CANARY}/db"),
        ("DATABASE_URL", f"postgresql://u:p@ss:{CANARY}@host:5432/db"),
        ("GRAPH_BASE_URL", CANARY),
        ("GRAPH_BASE_URL", f"http://{CANARY}.example"),
        ("GRAPH_BASE_URL", f"ftp://{CANARY}.example"),
        ("GRAPH_BASE_URL", f"https://{CANARY}:secret@example.com"),
        ("GRAPH_BASE_URL", f"https://example.com/{CANARY}"),
        ("GRAPH_BASE_URL", f"https://example.com?{CANARY}"),
        ("GRAPH_BASE_URL", f"https://[{CANARY}"),
        ("GRAPH_BASE_URL", f"https://{CANARY}\u2100.example"),
        ("GRAPH_BASE_URL", f"https://example.com:{CANARY}"),
        ("GRAPH_BASE_URL", "https://example.com:99999"),
        ("PUBLIC_URL", CANARY),
        ("PUBLIC_URL", f"http://{CANARY}.example"),
        ("PUBLIC_URL", f"https://{CANARY}:secret@example.com"),
        ("PUBLIC_URL", f"https://example.com/#{CANARY}"),
        ("PUBLIC_URL", f"https://example.com/{CANARY}?x"),
        ("PUBLIC_URL", f"https://example.com/{CANARY} x"),
        ("CORS_ORIGINS", CANARY),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", f"https://a.example,https://b.example/{CANARY}"),
        ("CORS_ORIGINS", f"http://{CANARY}.example"),
        ("GRAPH_VERSION", f"v{CANARY}"),
        ("GRAPH_VERSION", "26.0"),
        ("GRAPH_CONCURRENCY", CANARY),
        ("GRAPH_CONCURRENCY", "0"),
        ("GRAPH_CONCURRENCY", "65"),
        ("DRAIN_SECONDS", CANARY),
        ("DRAIN_SECONDS", "301"),
        ("META_APP_ID", CANARY),
        ("META_APP_ID", "1"),
        ("APPSECRET_PROOF", CANARY),
        ("APPSECRET_PROOF", "plain"),
        ("PRODUCT_NAME", f"<b>{CANARY}"),
        ("PRODUCT_NAME", CANARY * 10),
        ("RATE_LIMIT", CANARY),
        ("RATE_LIMIT", "0/minute"),
        ("RATE_LIMIT", "10/day"),
        ("RATE_LIMIT", "ten/minute"),
        ("REQUIRE_SEALED_TOKENS", CANARY),
        ("RETENTION_DAYS", CANARY),
        ("RETENTION_DAYS", "0"),
        ("RETENTION_DAYS", "nan"),
        ("ENGINE_RETENTION_DAYS", "3651"),
        ("LOG_LEVEL", CANARY),
        ("LOG_FORMAT", CANARY),
    ],
)
def test_wrong_value_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Check that the error names the environment variable and does not show its value."""
    monkeypatch.setenv(f"{ENV_PREFIX}{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert f"{ENV_PREFIX}{name}" in message
    assert CANARY not in message
    assert CANARY not in repr(caught.value)


def test_every_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that two mistakes are reported at once, one per line."""
    monkeypatch.setenv(f"{ENV_PREFIX}LOG_LEVEL", "loud")
    monkeypatch.setenv(f"{ENV_PREFIX}RATE_LIMIT", "much")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    _, *lines = str(caught.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        f"{ENV_PREFIX}LOG_LEVEL",
        f"{ENV_PREFIX}RATE_LIMIT",
    ]


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_LEVEL", "Warning", "WARNING"),
        ("RATE_LIMIT", "off", "off"),
        ("RATE_LIMIT", "5/second", "5/second"),
        ("GRAPH_BASE_URL", "https://graph.example/", "https://graph.example"),
        ("GRAPH_BASE_URL", "http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("GRAPH_BASE_URL", "http://localhost:8001", "http://localhost:8001"),
        ("GRAPH_BASE_URL", "http://[::1]:8001", "http://[::1]:8001"),
        ("PUBLIC_URL", "https://example.com/meta-1/pc/", "https://example.com/meta-1/pc"),
        ("PUBLIC_URL", "http://localhost:8000", "http://localhost:8000"),
        ("PUBLIC_URL", "", None),
        ("REQUIRE_SEALED_TOKENS", "true", True),
        ("GRAPH_CONCURRENCY", "16", 16),
        ("RETENTION_DAYS", "0.5", 0.5),
        ("RETENTION_DAYS", "", 30),
        ("LOG_LEVEL", "", "INFO"),
    ],
)
def test_allowed_value_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: object
) -> None:
    """Check that allowed values are normalized, and an empty variable counts as absent."""
    monkeypatch.setenv(f"{ENV_PREFIX}{name}", value)
    assert getattr(load_settings(), name.lower()) == read


def test_defaults_apply_without_settings() -> None:
    """Check that the defaults are SQLite in the data directory and Meta's Graph API v26.0."""
    settings = load_settings()
    assert settings.uses_sqlite
    assert settings.sqlalchemy_url().database == "var/partner-connector.db"
    assert settings.graph_base_url == "https://graph.facebook.com"
    assert settings.graph_version == "v26.0"
    assert settings.meta_app_id == "2965389650414399"
    assert settings.private_keyring_file == Path("var/keyring.json")
    assert settings.public_keyring_file == Path("var/keyring.public.json")


def test_environment_overrides_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that settings are read from `.env`, and the environment overrides it."""
    (tmp_path / ".env").write_text(
        f"{ENV_PREFIX}LOG_LEVEL=error\n{ENV_PREFIX}PRODUCT_NAME=File\nOTHER=1\n", encoding="utf-8"
    )
    monkeypatch.setenv(f"{ENV_PREFIX}PRODUCT_NAME", "Environment")
    settings = load_settings()
    assert (settings.log_level, settings.product_name) == ("ERROR", "Environment")


@pytest.mark.parametrize(
    ("url", "backend"),
    [
        ("sqlite:////tmp/x.db", "sqlite"),
        ("postgresql://u:p@host/db", "postgresql"),
        ("postgresql+psycopg://u:p@host/db", "postgresql"),
        ("postgresql+asyncpg://u:p@host/db", "postgresql"),
    ],
)
def test_driver_in_database_url_is_ignored(url: str, backend: str) -> None:
    """Check that the driver in the URL is ignored: each part of the program chooses its own."""
    settings = load_settings(database_url=url)
    assert settings.sqlalchemy_url().drivername == backend
    assert settings.uses_sqlite is (backend == "sqlite")


def test_repr_and_dumps_hide_secrets() -> None:
    """Check that `repr` and dumps of the settings hide the database password and the app secret."""
    settings = load_settings(
        database_url=f"postgresql://u:{CANARY}@host/db", meta_app_secret=CANARY
    )
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert CANARY not in shown
    assert CANARY not in repr(settings.sqlalchemy_url())


@pytest.mark.parametrize(
    ("product", "labels"),
    [
        ("", ("Pending onboarding", "Onboarded", "Needs attention")),
        ("Cerby", ("Pending Cerby onboarding", "Cerby onboarded", "Needs attention")),
    ],
)
def test_onboarding_labels_contain_product_name(product: str, labels: tuple[str, ...]) -> None:
    """Check that the labels of onboarding states contain the product's name if it is set."""
    settings = without_environment(product_name=product)
    statuses = ("pending_onboarding", "onboarded", "needs_attention")
    assert tuple(settings.onboarding_label(status) for status in statuses) == labels
