"""What all tests share: where the material lies, and the list of what could not run."""

import os
from collections import Counter
from pathlib import Path

import pytest

from support import postgresql


def pytest_terminal_summary(terminalreporter):
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
def _no_store_of_the_users():
    """Programs that are started by tests keep no annotations unless the test says where."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSISAM_STORE", "none")
        yield


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of the tests' own; called, it makes an empty place for a store and returns its URL."""
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
