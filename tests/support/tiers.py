"""Two tiers of tests: the whole suite, and `--tier=check`, which a change is checked with while it is made.

A test needs what its code, its fixtures and the helpers under tests/ reach: torch or the model, another process, Java,
PostgreSQL, Ray. That is read from the code and marked, so that a new test falls into its tier by itself. Where the
product itself reaches for one of them (a command that loads a model), the test says so with the same mark; if it does
not, the tier fails: in it no network is run, no weights are read, no process is started, and nothing but this machine
is connected to.
"""

import inspect
import os
import sys
import types
from functools import cache
from pathlib import Path

TESTS = str(Path(__file__).resolve().parents[1]) + os.sep

NEEDS = {
    "model": "runs torch or the model",
    "process": "starts a process",
    "postgres": "needs PostgreSQL",
    "ray": "needs Ray",
    "qupath": "needs an installed QuPath",
    "slow": "takes more than a few seconds",
}
"""What the tier `check` leaves out: marks, each with what a test has that bears it."""

_MODULES = {
    "torch": "model",
    "segment_anything": "model",
    "timm": "model",
    "wsisam_model": "model",
    "subprocess": "process",
    "multiprocessing": "process",
    "ray": "ray",
}
_FIXTURES = {"postgres": "postgres", "ray": "ray"}

_COSTLY = ["postgres", "model", "slow", "process", "qupath"]
"""Marks of NEEDS, the cheapest first."""

_FREE = {"ModelSettings", "Prediction", "Prompt", "ModelDescription"}
"""What of the model's library is only values; its errors too."""


def needs(item, definitions):
    """The marks of NEEDS that a test earns by what it reaches.

    Args:
        item: a test, as pytest collected it.
        definitions: a function: the name of a fixture -> the functions that define it where the test lies.
    """
    names = set(item.fixturenames)
    parameters = getattr(item, "callspec", None)
    reached = [item.function, *(parameters.params.values() if parameters else ())]
    reached += [function for name in names for function in definitions(name)]
    methods = _functions(item.cls) if item.cls is not None else {}
    marks, done = set(), set()
    while reached:
        thing = reached.pop()
        thing = inspect.unwrap(thing) if isinstance(thing, types.FunctionType) else thing
        if id(thing) in done:
            continue
        done.add(id(thing))
        if _home(thing) in _MODULES and not _is_value(thing):
            marks.add(_MODULES[_home(thing)])
        if _starts_processes(thing):
            marks.add("process")
        if isinstance(thing, type) and _is_ours(thing):
            reached += _functions(thing).values()
        elif isinstance(thing, types.FunctionType) and _is_ours(thing):
            uses, texts = _names(thing.__code__)
            reached += _values(thing)
            marks |= {_MODULES[name] for name in uses & _MODULES.keys()}
            reached += [methods[name] for name in uses & methods.keys()]
            if "getfixturevalue" in uses:
                reached += [function for name in texts - names for function in definitions(name)]
                names |= texts
    return marks | {mark for name, mark in _FIXTURES.items() if name in names}


def costly_first(items):
    """Files whose tests need most before the others: one that takes a minute must not be the last to begin.

    Within a file the order stays. xdist's own order is by the number of tests, which puts just those files last.
    """
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)

    def cost(path):
        marks = {mark for item in files[path] for mark in _COSTLY if item.get_closest_marker(mark)}
        return sorted((_COSTLY.index(mark) for mark in marks), reverse=True), len(files[path])

    return [item for path in sorted(files, key=cost, reverse=True) for item in files[path]]


@cache
def _values(function):
    """What a function's names stand for: its globals, what it encloses, and what modules among these hold."""
    names, _ = _names(function.__code__)
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    values += [cell.cell_contents for cell in function.__closure__ or () if cell.cell_contents is not function]
    for module in [one for one in values if isinstance(one, types.ModuleType)]:
        values += [vars(module)[name] for name in names if name in vars(module)]
    return [one for one in values if not isinstance(one, types.ModuleType)]


@cache
def _names(code):
    """The names that code uses, and its texts; with those of the functions that are defined in it."""
    names, texts = set(code.co_names), {one for one in code.co_consts if isinstance(one, str)}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            more = _names(inner)
            names, texts = names | more[0], texts | more[1]
    return frozenset(names), frozenset(texts)


@cache
def _functions(owner):
    """The functions of a class and of its bases, by name, as far as tests/ defines them."""
    found = {}
    for base in reversed(owner.__mro__):
        if _is_ours(base):
            for name, value in vars(base).items():
                plain = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
                if isinstance(plain, types.FunctionType):
                    found[name] = plain
    return found


def _home(thing):
    """The package that something comes from."""
    owner = thing if isinstance(thing, (type, types.FunctionType, types.BuiltinFunctionType)) else type(thing)
    return (getattr(owner, "__module__", None) or "").partition(".")[0]


def _is_value(thing):
    """Whether it is of the model's library, but runs nothing of it."""
    owner = thing if isinstance(thing, (type, types.FunctionType)) else type(thing)
    return owner.__name__ in _FREE or (isinstance(owner, type) and issubclass(owner, Exception))


def _starts_processes(thing):
    """Whether it is the product's, of a module that imports what starts processes."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return _home(thing) == "wsisam_server" and vars(module).get("subprocess") is sys.modules.get("subprocess", module)


@cache
def _is_ours(thing):
    """Whether tests/ defines it: a function, or a class with a function."""
    if isinstance(thing, types.FunctionType):
        return thing.__code__.co_filename.startswith(TESTS)
    return any(isinstance(one, types.FunctionType) and _is_ours(one) for one in vars(thing).values())
