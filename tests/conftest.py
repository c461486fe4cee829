"""What all tests share: where the material lies, and the list of what could not run."""

import os
from collections import Counter
from pathlib import Path

import hypothesis
import pytest

from support.tier_guard import TierGuard
from support.tiers import NEEDS, costly_first, needs

# Four workers with as many threads each would wait for each other. Read when torch is imported, and by what tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LEFT_OUT = pytest.StashKey[Counter]()
GUARD = pytest.StashKey[TierGuard]()


def pytest_addoption(parser):
    parser.addoption("--tier", choices=["check", "all"], default="all", help="which tests to run; see support/tiers.py")


def pytest_configure(config):
    for mark, what in NEEDS.items():
        config.addinivalue_line("markers", f"{mark}: {what}")
    if config.getoption("tier") == "check":
        config.stash[GUARD] = TierGuard()
    # How long an example takes says how busy the machine is.
    hypothesis.settings.register_profile("any pace", hypothesis.settings(), deadline=None)
    hypothesis.settings.load_profile("any pace")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session, config, items):
    """Marks each test with what it needs; in the tier `check`, leaves those out that need more than itself."""
    for item in items:
        for mark in needs(item, lambda name, item=item: _defining(session, name, item)):
            item.add_marker(mark)
    items[:] = costly_first(items)
    if config.getoption("tier") != "check":
        return
    lacks = {item: [mark for mark in NEEDS if item.get_closest_marker(mark)] for item in items}
    left_out = [item for item in items if lacks[item]]
    items[:] = [item for item in items if not lacks[item]]
    config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT_OUT] = Counter(lacks[item][0] for item in left_out)
    config.stash[GUARD].start()


def _defining(session, name, item):
    """The functions of a fixture, as an item sees it; more than one where one builds upon the one that it hides."""
    found = []
    for definition in reversed(session._fixturemanager.getfixturedefs(name, item) or ()):
        found.append(definition.func)
        if name not in definition.argnames:
            break
    return found


def pytest_runtest_setup(item):
    if GUARD in item.config.stash:
        item.config.stash[GUARD].hold_the_model()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """In the tier `check`, fails a test whose refusal was lost: on another thread, or in what caught it."""
    guard = item.config.stash.get(GUARD, None)
    if guard is None:
        return (yield)
    guard.refused.clear()
    result = yield
    if guard.refused:
        pytest.fail(guard.refused[0], pytrace=False)
    return result


def pytest_sessionfinish(session):
    """Under xdist, the workers tell what they left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash.get(LEFT_OUT, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[LEFT_OUT] = Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("tier") == "check":
        left_out = config.stash.get(LEFT_OUT, Counter())
        terminalreporter.section("left out of this tier; `make test` runs them")
        for mark, count in sorted(left_out.items()):
            terminalreporter.write_line(f"{count:4d} test(s): {NEEDS[mark]} ({mark})")
    _tell_what_could_not_run(terminalreporter)


def _tell_what_could_not_run(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        terminalreporter.write_line("not run: nothing; every test was run")
        return
    reasons = Counter(_reason(report) for report in skipped)
    terminalreporter.section("not run")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count:4d} test(s) not run: {reason}")


def _reason(report):
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


@pytest.fixture(scope="session", autouse=True)
def _no_folders_of_the_users():
    """Programs that are started by tests keep no annotations, and compile no encoder, unless the test says where."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSISAM_STORE", "none")
        patch.setenv("WSISAM_MODEL__ENCODER", "torch")
        yield


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of the tests' own; called, it makes an empty place for a store and returns its URL."""
    from support import postgresql  # its driver is not in every install

    server = postgresql.Server.start()
    yield server.database
    server.stop()


@pytest.fixture(scope="session")
def repository():
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data that is too large, or of another licence, to be in the repository."""
    data = Path(os.environ.get("WSISAM_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
    if not data.is_dir():
        pytest.skip("needs ../shared/data")
    return data


@pytest.fixture(scope="session")
def real_slides(shared_data) -> Path:
    """The folder of real slides; a test that wants them is skipped where they are not."""
    folder = shared_data / "wsi"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data")
    return folder
