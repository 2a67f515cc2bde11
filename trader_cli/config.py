"""Configuration: `config.toml`, `.env`, the environment and a few flags become frozen `Settings`.

Read once, validated whole, every problem told at once. Knows where things are and what the
operator decided; it opens no connection and no state. pydantic and dotenv are imported only when
something is really read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from trader_cli.config_environ import (
    Environment,
    KeyPair,
    Problem,
    choose_environment,
    key_environment,
    read_home,
    read_key_pair,
    read_urls,
)
from trader_cli.config_sections import (
    JournalSettings,
    KillSettings,
    NetworkSettings,
    Sections,
)
from trader_cli.domain.rules import BridgeRules, EntryPolicy, ForeignRules, OrderDefaults
from trader_cli.errors import ConfigError, PermissionDenied
from trader_cli.paper.process import PaperOptions
from trader_cli.trading.risk.risk_manager import RiskLimits

CONFIG_FILE: Final = "config.toml"
ENV_FILE: Final = ".env"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a command needs to know before it acts.

    Attributes:
        environment_from: what chose the environment, for people.
        live_confirmed: `--live` was given.
        home: `TRADER_HOME`, root of all state.
        state_dir: this environment's journal, halts, lease and ban.
        exchange_dir: the embedded exchange's own state.
        keys: for this environment; None in paper means the embedded exchange's own pair.
        exchange_keys_for: which real exchange `BINANCE_API_KEY` belongs to, None if it is not set.
        rest_url, stream_url: another server's origins, None for the environment's own.
        config_file: the file that was read, None if there was none.
        problems: what was wrong and passed over; only ever filled for kill.
    """

    environment: Environment
    environment_from: str
    live_confirmed: bool
    home: Path
    keys: KeyPair | None
    exchange_keys_for: Environment | None
    rest_url: str | None
    stream_url: str | None
    sections: Sections
    config_file: Path | None
    problems: tuple[str, ...]

    @property
    def state_dir(self) -> Path:
        return self.home / self.environment.value

    @property
    def exchange_dir(self) -> Path:
        return self.home / "exchange"

    @property
    def journal_path(self) -> Path:
        return self.state_dir / "journal.db"

    @property
    def halt_dir(self) -> Path:
        return self.state_dir / "halt"

    @property
    def ban_path(self) -> Path:
        return self.state_dir / "ban"

    @property
    def firewall_path(self) -> Path:
        return self.state_dir / "firewall"

    @property
    def risk(self) -> RiskLimits:
        return self.sections.risk

    @property
    def entry(self) -> EntryPolicy:
        return self.sections.entry

    @property
    def orders(self) -> OrderDefaults:
        return self.sections.orders

    @property
    def foreign(self) -> ForeignRules:
        return self.sections.foreign

    @property
    def bridge(self) -> BridgeRules:
        return self.sections.bridge

    @property
    def paper(self) -> PaperOptions:
        return self.sections.paper

    @property
    def network(self) -> NetworkSettings:
        return self.sections.network

    @property
    def kill(self) -> KillSettings:
        return self.sections.kill

    @property
    def journal(self) -> JournalSettings:
        return self.sections.journal

    def required_keys(self) -> KeyPair:
        """Return the key pair.

        Raises:
            PermissionDenied: there is none.
        """
        if self.keys is None:
            raise PermissionDenied(
                f"no API key for {self.environment}",
                code="no_api_key",
                advice="Set BINANCE_API_KEY and BINANCE_API_SECRET in .env or the environment.",
            )
        return self.keys


def load_settings(
    *,
    env: str | None,
    config: Path | None,
    live: bool,
    environ: Mapping[str, str],
    cwd: Path,
    for_kill: bool = False,
) -> Settings:
    """Read and check everything.

    Args:
        env: `--env`, None if not given.
        config: `--config`; wins over every other place.
        environ: the process's environment; `.env` in `cwd` fills in what is not set there.
        for_kill: pass over whatever is wrong, with defaults in its place, and tell it in
            `Settings.problems`: a broken configuration must not keep a position open.

    Raises:
        ConfigError: one problem a line, each with its file, its key and what is allowed.
    """
    problems: list[Problem] = []
    variables = {**_read_env_file(cwd / ENV_FILE, problems), **environ}
    path = _find_config(config, cwd)
    sections = Sections() if path is None else _read_sections(path, problems)
    keys = read_key_pair(variables, problems)
    environment, chosen_by = choose_environment(
        flag=env,
        variables=variables,
        configured=(sections.env, str(path)),
        has_keys=keys is not None,
        for_kill=for_kill,
        problems=problems,
    )
    rest_url, stream_url = read_urls(variables, environment, problems)
    home = read_home(variables, cwd) or _default_home()
    if problems and not for_kill:
        raise ConfigError(
            "\n".join(problems),
            code="config_invalid",
            advice="config.toml.example documents every key, .env.example every variable.",
        )
    own_server = environment is Environment.PAPER and rest_url is None
    return Settings(
        environment=environment,
        environment_from=chosen_by,
        live_confirmed=live,
        home=home,
        keys=None if own_server else keys,
        exchange_keys_for=None if keys is None else key_environment(variables),
        rest_url=rest_url,
        stream_url=stream_url,
        sections=sections,
        config_file=path,
        problems=tuple(problems),
    )


def _read_env_file(path: Path, problems: list[Problem]) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}")
        return {}
    from io import StringIO

    from dotenv.parser import parse_stream

    # Not `dotenv_values`: it only logs what it cannot parse, and expands `$` in secrets.
    values = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            problems.append(f"{path}: line {binding.original.line}: allowed is NAME=value")
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _find_config(config: Path | None, cwd: Path) -> Path | None:
    if config is not None:
        return cwd / config.expanduser()
    from platformdirs import user_config_path

    places = (cwd / CONFIG_FILE, user_config_path("trader") / CONFIG_FILE)
    return next((place for place in places if place.exists()), None)


def _default_home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("trader")


def _read_sections(path: Path, problems: list[Problem]) -> Sections:
    try:
        text = path.read_text(encoding="utf-8")
        raw: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return Sections()
    except (ValueError, ArithmeticError) as error:
        problems.append(f"{path}: is not TOML: {error}")
        return Sections()
    from trader_cli.config_schema import parse_sections

    return parse_sections(raw, path=path, problems=problems)
