"""Options of the command line that follow from the settings' own declarations.

In: fields marked as options (`wsisam_server.core.settings`). Out: click options of the same name,
type, bounds, default and meaning. It must never know what a setting is for.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wsisam_server.cli.numbers import shown
from wsisam_server.core.settings import Bytes, Limits, ModelChoice, Option, Ray, Settings, Tls

Command = TypeVar("Command", bound=Callable[..., Any])

PREFIX: Final = "WSISAM_"
SEPARATOR: Final = "__"
SECTIONS: Final[dict[str, type]] = {"tls": Tls, "model": ModelChoice, "limits": Limits, "ray": Ray}
"""Settings that are groups of settings."""

_METAVARS: Final = {int: "INTEGER", float: "NUMBER", Path: "FILE"}
"""What stands for a value in the help, by its type."""


@dataclass(frozen=True)
class Setting:
    """One field of the settings.

    Attributes:
        path: names of its section, if it is in one, and of itself.
        declared: its type, with bounds.
        info: its default and its meaning.
        option: set if it is an option of the command line.
    """

    path: tuple[str, ...]
    declared: Any
    info: FieldInfo
    option: Option | None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + SEPARATOR.join(self.path).upper()

    @property
    def flag(self) -> str:
        """How the command line calls it; empty if it does not."""
        if self.option is None:
            return ""
        return self.option.name or f"--{self.path[-1].replace('_', '-')}"

    @property
    def parameter(self) -> str:
        """How click calls its value."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def default(self) -> Any:
        """Its value where nothing else is said; None also where that depends on the user."""
        return None if self.info.default is PydanticUndefined else self.info.default

    @property
    def initial(self) -> Any:
        """The default, or what makes it, where it depends on the user."""
        return self.info.default_factory or self.default

    @property
    def default_text(self) -> str:
        """The same for people; empty where there is nothing to show."""
        if self.default is None or self.default in ((), False, ""):
            return ""
        return shown(self.default).replace(".0 ", "").replace(" ", "") if self.is_size else str(self.default)

    @property
    def is_size(self) -> bool:
        """Whether it is a number of bytes, which people write as 8GiB."""
        return set(get_args(Bytes)[1:]) <= set(get_args(self.declared)[1:])


@cache  # each command's options ask for them
def all_settings() -> tuple[Setting, ...]:
    """Every field, those outside of sections first."""
    alone = (setting for setting in settings_of(Settings) if setting.path[0] not in SECTIONS)
    grouped = (setting for name, kind in SECTIONS.items() for setting in settings_of(kind, (name,)))
    return (*alone, *grouped)


def settings_of(kind: type, section: tuple[str, ...] = ()) -> Iterator[Setting]:
    """The fields of one class."""
    for name, declared in get_type_hints(kind, include_extras=True).items():
        if get_origin(declared) is not Annotated:
            continue  # a class's own configuration
        marks = [mark for mark in declared.__metadata__ if isinstance(mark, Option)]
        info = FieldInfo.from_annotated_attribute(declared, _default(kind, name))
        yield Setting((*section, name), declared, info, marks[0] if marks else None)


def settings_options(*names: str, envvar: bool = False) -> Callable[[Command], Command]:
    """Adds options to a command.

    Args:
        names: paths of settings with dots, such as limits.model_bytes; of a section, all of its options. None for all.
        envvar: click itself reads their variables: for commands without a configuration.
    """
    wanted = [one for one in all_settings() if one.option and (not names or _is_named(one, names))]

    def add(command: Command) -> Command:
        for setting in reversed(wanted):
            command = _option(setting, envvar=envvar)(command)
        return command

    return add


def given(parameters: dict[str, Any]) -> dict[str, Any]:
    """What was said on the command line alone, as nested settings: defaults must not hide the file."""
    context = click.get_current_context()
    found: dict[str, Any] = {}
    for setting in all_settings():
        name = setting.parameter
        source = context.get_parameter_source(name) if name in parameters else None
        if source is not None and source.name == "COMMANDLINE":
            place = found
            for section in setting.path[:-1]:
                place = place.setdefault(section, {})
            place[setting.path[-1]] = parameters[name]
    return found


class Checked(click.ParamType):  # type: ignore[type-arg]
    """A value that its declaration checks.

    Args:
        declared: type with bounds, as pydantic reads it.
        name: what stands for it in the help.
    """

    def __init__(self, declared: Any, name: str) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(declared)
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType."""
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            self.fail(f"{value!r}: {problem[:1].lower()}{problem[1:]}", param, ctx)


def _default(kind: type, name: str) -> Any:
    if issubclass(kind, BaseModel):
        info = kind.model_fields[name]
        return info if info.default_factory is not None else info.default
    field = next(one for one in dataclasses.fields(kind) if one.name == name)  # type: ignore[arg-type]
    return PydanticUndefined if field.default is dataclasses.MISSING else field.default


def _is_named(setting: Setting, names: tuple[str, ...]) -> bool:
    return ".".join(setting.path) in names or setting.path[0] in names


def _option(setting: Setting, *, envvar: bool) -> Callable[[Command], Command]:
    assert setting.option is not None
    plain, many = _plain(setting.declared)
    more: dict[str, Any] = {"help": setting.info.description, "show_default": bool(setting.default_text)}
    if envvar:
        more.update(envvar=setting.variable, show_envvar=True)
    if plain is bool:
        return click.option(setting.flag, setting.parameter, is_flag=True, default=False, **more)
    if get_origin(plain) is Literal:
        kind: Any = click.Choice(get_args(plain))
    else:
        name = setting.option.metavar or ("SIZE" if setting.is_size else _METAVARS.get(plain, "TEXT"))
        kind = Checked(_one(setting.declared) if many else setting.declared, name)
        more["metavar"] = name
    if many:
        return click.option(setting.flag, setting.parameter, type=kind, multiple=True, **more)
    initial = setting.default_text if setting.is_size else setting.initial
    return click.option(setting.flag, setting.parameter, type=kind, default=initial, **more)


def _without_marks(declared: Any) -> Any:
    while get_origin(declared) is Annotated:
        declared = declared.__origin__
    return declared


def _plain(declared: Any) -> tuple[Any, bool]:
    """The type itself, without bounds and None; and whether the option may be repeated."""
    declared = _without_marks(declared)
    if get_origin(declared) in (Union, types.UnionType):
        declared = _without_marks(next(one for one in get_args(declared) if one is not type(None)))
        return declared, False
    if get_origin(declared) is tuple:
        return _without_marks(get_args(declared)[0]), True
    return declared, False


def _one(declared: Any) -> Any:
    """The type of one of the values of an option that may be repeated."""
    return get_args(_without_marks(declared))[0]
