"""A real PostgreSQL server for the tests: found on this machine, started in a folder of its own, and stopped."""

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest


@dataclass
class Server:
    """A running server, reached through a socket in its folder; no port, no password."""

    folder: Path
    programs: Path
    account: str | None
    _numbers: itertools.count = field(default_factory=itertools.count)

    @classmethod
    def start(cls):
        """Starts one, or skips the test that wants it when the machine has none."""
        programs = _programs()
        if programs is None:
            pytest.skip("PostgreSQL is not installed here (no initdb); on Debian: apt-get install postgresql")
        account = _account()
        folder = Path(tempfile.mkdtemp(prefix="wsisam-pg-"))
        if account is not None:
            shutil.chown(folder, account)
        server = cls(folder, programs, account)
        server._run("initdb", "--auth=trust", "--username=wsisam", "--encoding=UTF8", "--no-locale")
        server.run()
        return server

    def run(self):
        # What it loses in a power cut is of no interest here, and the tests run three times as fast.
        options = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories='{self.folder}'"
        self._run("pg_ctl", "--wait", f"--log={self.folder / 'log'}", f"--options={options}", "start")

    def halt(self):
        self._run("pg_ctl", "--wait", "--mode=fast", "stop")

    def stop(self):
        self._run("pg_ctl", "--wait", "--mode=immediate", "stop")
        shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def hanging(self):
        """It neither answers nor refuses, as on a machine that has run out of memory."""
        main = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
        processes = [main, *main.children(recursive=True)]
        for one in processes:
            one.suspend()
        try:
            yield
        finally:
            for one in processes:
                one.resume()

    def database(self):
        """The URL of a new, empty schema: as good as a database of its own, and made a hundred times faster."""
        name = f"test{next(self._numbers)}"
        with contextlib.closing(psycopg.connect(self._url(), autocommit=True)) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self._url()}&options=-csearch_path%3D{name}"

    def _url(self):
        return f"postgresql://wsisam@/postgres?host={urllib.parse.quote(str(self.folder), safe='')}"

    def _run(self, program, *arguments):
        # Its output goes to a file: the server keeps it open, and a pipe would never end.
        with (self.folder.parent / f"{self.folder.name}.out").open("w+") as out:
            done = subprocess.run(
                [*_as(self.account), self.programs / program, f"--pgdata={self.folder / 'data'}", *arguments],
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
            out.seek(0)
            assert done.returncode == 0, out.read()
        Path(out.name).unlink()


def _programs():
    """The newest installed version's folder."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    # Debian keeps them off the path, one folder for each version.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


def _as(account):
    """The words before a command that let `account` run it.

    Not subprocess's own `user`: with it, Python forks instead of using vfork, and gRPC's handlers of forks, which a test
    with running calls has, now and then end the child before it is PostgreSQL.
    """
    if account is None:
        return []
    entry = pwd.getpwnam(account)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--"]


def _account():
    """Whom the server must run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
