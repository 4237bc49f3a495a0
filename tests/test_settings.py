"""Settings: every mistake at once, each with a right example; secrets stay hidden."""

from pathlib import Path

import pytest

from yellowbooks import wiring
from yellowbooks.settings import NAMES, SettingsError, inherited, load, shown

NO_FILE = Path("/nowhere/.env")
ROOT = Path(__file__).parent.parent


def test_defaults() -> None:
    settings = load({}, NO_FILE).settings
    assert (settings.host, settings.port, settings.rate_limit, settings.retry) == (
        "127.0.0.1",
        3333,
        (10, 3600.0),
        (5, 2.0),
    )
    assert (settings.valkey_url, settings.database_url, settings.smtp_url, settings.api_keys) == (None, None, (), ())
    assert settings.data_dir == Path.home() / ".local/share/yellowbooks"


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("# ours\nexport YB_PORT=4000\nYB_RETENTION='48h'\n\n", "utf-8")
    loaded = load({"YB_PORT": "5000"}, dotenv)
    assert (loaded.settings.port, loaded.settings.retention) == (5000, 172_800.0)
    assert (loaded.sources["YB_PORT"], loaded.sources["YB_RETENTION"]) == ("environment", ".env")


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "api_keys"
    secret.write_text("a-key-of-16-or-more\n", "utf-8")
    loaded = load({"YB_API_KEYS_FILE": str(secret)}, NO_FILE)
    assert loaded.settings.api_keys == ("a-key-of-16-or-more",)
    assert (loaded.sources["YB_API_KEYS"], loaded.warnings) == ("a file", ())
    assert [row[1] for row in shown(loaded) if row[0] == "YB_API_KEYS"] == ["(hidden)"]


def test_a_secret_whose_file_is_missing_or_which_is_set_twice(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"YB_API_KEYS_FILE: /nowhere/keys cannot be read .* for example /run/secr"):
        load({"YB_API_KEYS_FILE": "/nowhere/keys"}, NO_FILE)
    with pytest.raises(SettingsError, match="YB_API_KEYS_FILE: YB_API_KEYS is set too; unset one of them"):
        load({"YB_API_KEYS_FILE": str(tmp_path), "YB_API_KEYS": "a-key-of-16-or-more"}, NO_FILE)
    assert "YB_PORT_FILE is not a setting" in load({"YB_PORT_FILE": "/x"}, NO_FILE).warnings[0]


def test_a_child_whose_setting_is_changed_does_not_read_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YB_VALKEY_URL_FILE", "/run/secrets/valkey_url")
    assert "YB_VALKEY_URL_FILE" in inherited()
    assert "YB_VALKEY_URL_FILE" not in inherited(YB_VALKEY_URL="unix:///x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YB_PORT", "0"), ("YB_PORT", "x"), ("YB_PORT", "65536"), ("YB_VALKEY_URL", "http://x"), ("YB_VALKEY_URL", "valkey://"),
        ("YB_DATABASE_URL", "mysql://x/y"), ("YB_SMTP_URL", "mail.example.com"), ("YB_SMTP_URL", "smtp://a,http://b"),
        ("YB_CONCURRENCY", "0"), ("YB_LEASE_SECONDS", "1.5"), ("YB_RATE_LIMIT", "10"), ("YB_RATE_LIMIT", "0/hour"),
        ("YB_RETRY", "5"), ("YB_API_KEYS", "short"), ("YB_RETENTION", "24"), ("YB_KINDS", "a-b"), ("YB_LOG_FORMAT", "xml"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_setting_the_fault_and_an_example(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({name: value}, NO_FILE)
    line = str(caught.value)
    assert line.startswith(f"{name}: ")
    assert f"for example {name}=" in line
    assert "\n" not in line


def test_the_example_of_every_setting_is_right() -> None:
    for name, field in NAMES.items():
        load({name: field.metadata["example"]}, NO_FILE)


def test_all_mistakes_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"YB_PORT": "x", "YB_RETRY": "x", "YB_RETENTION": "x"}, NO_FILE)
    assert len(str(caught.value).splitlines()) == 3


def test_a_misspelt_setting_is_noticed() -> None:
    assert load({"YB_SMPT_URL": "smtp://x"}, NO_FILE).warnings == (
        "YB_SMPT_URL is not a setting; did you mean YB_SMTP_URL?",
    )


def test_secrets_are_hidden_in_print_and_in_mistakes() -> None:
    secret = {
        "YB_SMTP_URL": "smtp://u:canary@x",
        "YB_API_KEYS": "canary-canary-canary",
        "YB_VALKEY_URL": "valkey://:canary@x",
    }
    assert "canary" not in str(shown(load(secret, NO_FILE)))
    with pytest.raises(SettingsError) as caught:
        load({"YB_SMTP_URL": "http://u:canary@x", "YB_API_KEYS": "canary"}, NO_FILE)
    assert "canary" not in str(caught.value)


def test_the_documented_table_is_the_true_one() -> None:
    document = (ROOT / "docs/settings.md").read_text("utf-8")
    rows = [line for line in document.splitlines() if line.startswith("| `YB_")]
    wanted = [
        f"| `{name}` | {'`' + field.metadata['text'] + '`' if field.metadata['text'] else 'not set'} | {field.metadata['about']} | `{field.metadata['example']}` |"
        for name, field in NAMES.items()
    ]
    assert rows == wanted


def test_a_module_of_kinds_brings_its_schedules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nightly_report.py").write_text(
        "from yellowbooks.jobs import Kind, Payload, Schedule\n"
        "class Report(Payload):\n    day: str = ''\n"
        "KIND = Kind('report', Report)\n"
        "SCHEDULES = [Schedule('nightly', '0 3 * * *', KIND, lambda at: Report(day=str(at.date())), 'Asia/Ulaanbaatar')]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = load({"YB_KINDS": "nightly_report"}, NO_FILE).settings
    assert [kind.name for kind in wiring.kinds(settings)] == ["signin-notification", "report"]
    assert [schedule.name for schedule in wiring.schedules(settings)] == ["nightly"]
