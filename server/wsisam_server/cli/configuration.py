"""The configuration of `wsisam serve`: one TOML file, environment variables over it, flags over both.

The fields below are its only description: what is read, checked, printed and explained follows from them.
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import click
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, TomlConfigSettingsSource

from wsisam_server.annotations.store import store_name
from wsisam_server.cli.store import NONE
from wsisam_server.core.settings import Limits, Ray, Tls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_settings import PydanticBaseSettingsSource

PREFIX: Final = "WSISAM_"
SEPARATOR: Final = "__"


class Mapped(BaseModel):
    """One client prefix and what takes its place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client: Annotated[str, Field(min_length=1, description="What the client's path starts with.")]
    server: Annotated[Path, Field(description="The folder on the server that is meant.")]


class Configuration(BaseSettings):
    """What `wsisam serve` can be told beside its models."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=SEPARATOR, extra="forbid", frozen=True, validate_default=False
    )

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="0 for any free port.")] = 8765
    slides: Annotated[tuple[Path, ...], Field(description="Folders whose slides may be opened.")] = ()
    insecure: Annotated[
        bool, Field(description="Allow an address other than loopback without encryption and tokens.")
    ] = False
    require_tokens: Annotated[bool, Field(description="Ask for tokens also on loopback.")] = False
    tokens: Annotated[Path | None, Field(description="The file of tokens. Not set: in the user's data folder.")] = None
    store: Annotated[
        str | None,
        Field(description="A SQLite file, postgresql://..., or none. Not set: a file in the user's data folder."),
    ] = None
    embedding_store: Annotated[
        Path | None, Field(description="A folder for embeddings, which then outlive the server. Not set: none.")
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="What goes to standard error.")
    ] = "info"
    log_format: Annotated[Literal["text", "json"], Field(description="Lines for people, or one JSON object each.")] = (
        "text"
    )
    log_hide_paths: Annotated[bool, Field(description="Write slides' paths to the log as hashes.")] = False
    metrics_host: Annotated[str, Field(description="Address of the numbers for Prometheus; they need no token.")] = (
        "127.0.0.1"
    )
    metrics_port: Annotated[int | None, Field(ge=0, le=65535, description="Its port. Not set: there are none.")] = None
    engine: Annotated[
        Literal["local", "ray"], Field(description="What runs the model: this machine, or Ray Serve.")
    ] = "local"
    map: Annotated[
        tuple[Mapped, ...], Field(description="How clients' paths become the server's; repeat the section.")
    ] = ()
    tls: Annotated[Tls | None, Field(description="Encryption: PEM files.")] = None
    limits: Annotated[Limits, Field(description="Upper bounds. Bytes may have a unit, such as 8GiB.")] = Limits()
    ray: Annotated[Ray, Field(description="With the engine ray: where the model runs (docs/scale.md).")] = Ray()

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
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def configuration(file: Path | None, flags: Mapping[str, Any]) -> Configuration:
    """Reads the configuration.

    Args:
        file: TOML; None for none.
        flags: what was said on the command line, by the fields' names; sections as mappings.

    Raises:
        click.ClickException: a value or a name is not one; the text says which.
    """

    class WithFile(Configuration):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        return WithFile(**flags)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        raise click.ClickException(
            f"the configuration{'' if file is None else f' ({file}, the environment and the flags together)'} is not "
            f"valid: {'; '.join(problems)}. wsisam serve --print-config shows all names"
        ) from error
    except (ValueError, OSError) as error:  # no TOML; an environment variable that is no JSON
        raise click.ClickException(f"the configuration cannot be read: {error}") from error


def printed(wanted: Configuration) -> str:
    """The configuration as a TOML file with a comment for each value. What is not set is a comment, too.

    A password in the store's URL is not shown.
    """
    return "\n".join(_lines(wanted)) + "\n"


def _lines(wanted: Configuration) -> Iterator[str]:
    schema = TypeAdapter(Configuration).json_schema()
    values = TypeAdapter(Configuration).dump_python(wanted, mode="json")
    if wanted.store and wanted.store != NONE:
        values["store"] = store_name(wanted.store)
    fields = schema["properties"]
    sections = {"map": Mapped, "tls": Tls, "limits": Limits, "ray": Ray}
    for name in (name for name in fields if name not in sections):
        yield from _entry(name, values[name], fields[name]["description"])
    for name, kind in sections.items():
        about = TypeAdapter(kind).json_schema()["properties"]
        head = f"[[{name}]]" if name == "map" else f"[{name}]"
        yield from ("", f"# {fields[name]['description']}")
        parts = list(values[name]) if name == "map" else [values[name]]
        for part in [one for one in parts if one is not None] or [None]:
            yield head if part is not None else f"#{head}"
            for key, described in about.items():
                yield from _entry(key, None if part is None else part[key], described["description"])


def _entry(name: str, value: object, about: str) -> Iterator[str]:
    yield f"# {about}"
    yield f"#{name} =" if value is None else f"{name} = {json.dumps(value, ensure_ascii=False)}"
