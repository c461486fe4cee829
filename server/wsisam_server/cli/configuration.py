"""The configuration of `wsisam serve`: one TOML file, environment variables over it, options over both.

What it may say is declared in `wsisam_server.core.settings`. Here is only where it is read, and how it is printed.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import click
from pydantic import TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, SettingsConfigDict, SettingsError

from wsisam_server.cli.configuration_problems import in_words, of_variable, unknown_variables
from wsisam_server.cli.options import PREFIX, SECTIONS, SEPARATOR, Setting, settings_of
from wsisam_server.core.settings import NONE, ModelChoice, PathMapping, Settings
from wsisam_server.core.spelling import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic_settings import PydanticBaseSettingsSource

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class _FromSources(BaseSettings, Settings):
    """The settings, with where they come from."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=SEPARATOR, extra="forbid", frozen=True, validate_default=False
    )

    content: ClassVar[dict[str, Any]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings passes all of them
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, cls.content)


def configuration(file: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Reads the configuration.

    Args:
        file: TOML; None for none.
        flags: what was said on the command line, by the fields' names; sections as mappings.

    Raises:
        click.ClickException: a value or a name is not one; the text says which.
    """
    try:
        # Written by a redirected --print-config, it is of the shell's encoding, not UTF-8 as TOML demands.
        read = {} if file is None else tomllib.loads(decoded(file.read_bytes()))
    except (ValueError, OSError) as error:
        raise click.ClickException(f"the configuration cannot be read: {file}: {error}") from error

    class WithFile(_FromSources):
        content = read

    problems = unknown_variables(os.environ)
    try:
        settings = WithFile(**flags)
    except ValidationError as error:
        problems += map(in_words, error.errors(include_url=False))
    except SettingsError as error:
        problems.append(of_variable(str(error)))
    if not problems:
        return settings
    sources = "" if file is None else f" ({file}, the environment and the flags together)"
    raise click.ClickException(
        f"the configuration{sources} is not valid: {'; '.join(problems)}. wsisam serve --print-config shows all names"
    )


def printed(settings: Settings) -> str:
    """The settings as a TOML file with a comment for each value. What is not set is a comment, too.

    So is a default that depends on the user: who prints the file is often not the user whom the server runs as. A
    password in the store's URL is not shown.
    """
    return "\n".join(_lines(settings)) + "\n"


def _lines(settings: Settings) -> Iterator[str]:
    values = TypeAdapter(Settings).dump_python(settings, mode="json")
    if settings.store != NONE:
        from wsisam_server.annotations.store import store_name

        values["store"] = store_name(settings.store)
    values |= dict.fromkeys(_of_the_user(Settings) - settings.model_fields_set)
    values["model"] |= dict.fromkeys(_of_the_user(ModelChoice) - settings.model.model_fields_set)
    parts: dict[str, type] = {"map": PathMapping, **SECTIONS}
    declared = list(settings_of(Settings))
    for setting in declared:
        if setting.path[0] not in parts:
            yield from _entry(setting, values)
    for setting in declared:
        name = setting.path[0]
        if name not in parts:
            continue
        head = f"[[{name}]]" if name == "map" else f"[{name}]"
        yield from ("", f"# {setting.info.description}")
        written = list(values[name]) if name == "map" else [values[name]]
        for part in [one for one in written if one is not None] or [None]:
            yield head if part is not None else f"#{head}"
            for inner in settings_of(parts[name]):
                yield from _entry(inner, part)


def _of_the_user(kind: type) -> set[str]:
    """Names of fields whose default is made of the user's folders."""
    return {setting.path[0] for setting in settings_of(kind) if setting.info.default_factory is not None}


def _entry(setting: Setting, values: Mapping[str, Any] | None) -> Iterator[str]:
    name = setting.path[-1]
    value = None if values is None else values[name]
    yield f"# {setting.info.description}"
    yield f"#{name} =" if value is None else f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    """A value as TOML, in letters that the output can show: Windows' redirected one knows some 200."""
    text = json.dumps(value, ensure_ascii=False)
    if codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8":
        return text
    return "".join(one if one.isascii() else f"\\U{ord(one):08X}" for one in text)
