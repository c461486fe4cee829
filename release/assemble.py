"""Builds all files of a release into a folder: `make release`.

    python release/assemble.py [--out dist] [--page ADDRESS] [--tools PYTHON] [--maven "mvn -o"] [--no-bill]

Everything is made from the last commit, exported into a folder of its own: what is not committed cannot get in. Every
time in the files is the commit's, so the same commit gives the same bytes with the same tools.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from bill import python_bill

CHECKOUT = Path(__file__).resolve().parents[1]

NOBODYS = "https://github.com/_unreleased_/wsisam"
"""The release page while there is none; GitHub gives nobody such a name."""

CONTEXT = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "server", "wsisam_model")
"""What docs/deploy/Containerfile copies; a test holds them together."""

SUMS = "SHA256SUMS"
SAME_BYTES = (".whl", ".tar.gz", ".jar", "catalog.json", ".md")
"""How the names end of files that the same commit makes alike. Bills of materials name versions found at the time."""


@dataclass(frozen=True)
class Release:
    """What is built: a version at a commit, from an exported tree."""

    tree: Path
    out: Path
    version: str
    commit: str
    epoch: int

    @property
    def jar(self) -> str:
        """The name of QuPath's client jar."""
        return f"wsisam-qupath-client-{self.version}.jar"


def main() -> None:
    """Builds, and lists what was built."""
    options = _options()
    uncommitted = _git("status", "--porcelain").strip()
    if uncommitted:
        print("note: what is not committed is not in the release:", *uncommitted.splitlines(), sep="\n  ")
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="wsisam-release-") as folder:
        release = _export(Path(folder), options.out.resolve())
        _jar(release, shlex.split(options.maven))
        _packages(release, options.tools)
        (release.out / f"wsisam-container-{release.version}.tar.gz").write_bytes(container_context(release))
        (release.out / "catalog.json").write_text(
            catalog((release.tree / "catalog.json").read_text(encoding="utf-8"), options.page), encoding="utf-8"
        )
        changes = (release.tree / "CHANGELOG.md").read_text(encoding="utf-8")
        (release.out / "RELEASE_NOTES.md").write_text(notes(changes, release), encoding="utf-8")
        if not options.no_bill:
            _bills(release, options.tools, shlex.split(options.maven))
    (options.out / SUMS).write_text(sums(options.out), encoding="ascii")
    for path in sorted(options.out.iterdir()):
        print(f"{path.stat().st_size:>11,}  {path.name}")
    if options.page == NOBODYS:
        print("note: catalog.json points nowhere; set RELEASE_PAGE to the project's page")
    elif not options.page.startswith("https://github.com/"):
        print("note: QuPath's extension manager takes addresses at https://github.com/ only")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build all files of a release.")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="the folder; what it holds is removed")
    parser.add_argument("--page", default=NOBODYS, help="the project's page, below which the releases are")
    parser.add_argument("--tools", type=Path, default=Path(sys.executable), help="a Python with requirements.txt")
    parser.add_argument("--maven", default="mvn", help="with its options")
    parser.add_argument("--no-bill", action="store_true", help="without bills of materials")
    options = parser.parse_args()
    options.page = options.page.rstrip("/") or NOBODYS
    return options


def _git(*words: str) -> str:
    return _run(["git", *words], CHECKOUT)


def _run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, check=False, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed: {shlex.join(command)}")
    return done.stdout


def _export(folder: Path, out: Path) -> Release:
    """The last commit's files."""
    tree = folder / "wsisam"
    tree.mkdir()
    packed = folder / "commit.tar"
    _git("archive", "--format=tar", f"--output={packed}", "HEAD")
    with tarfile.open(packed) as archive:
        archive.extractall(tree, filter="data")
    version = project_version((tree / "pyproject.toml").read_text(encoding="utf-8"))
    commit, epoch = _git("log", "-1", "--format=%H %ct").split()
    return Release(tree, out, version, commit, int(epoch))


def project_version(pyproject: str) -> str:
    """The version that pyproject.toml declares."""
    found = re.search(r'^version = "(.+)"$', pyproject, re.MULTILINE)
    assert found is not None, "pyproject.toml has no version"
    return found[1]


def _jar(release: Release, maven: list[str]) -> None:
    stamp = datetime.fromtimestamp(release.epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = ["--batch-mode", "--quiet", "--file", "qupath_script/pom.xml", "package", "-DskipTests"]
    _run([*maven, *words, f"-Dproject.build.outputTimestamp={stamp}"], release.tree)
    shutil.copy(release.tree / "qupath_script" / "target" / release.jar, release.out)


def _packages(release: Release, tools: Path) -> None:
    """Wheel and source archive; both hold the jar."""
    words = [str(tools), "-m", "hatchling", "build", "--directory", str(release.out)]
    for target in ("wheel", "sdist"):
        _run([*words, "--target", target], release.tree, SOURCE_DATE_EPOCH=str(release.epoch))


def container_context(release: Release) -> bytes:
    """What a container tool builds the server's image from, as .tar.gz: the Containerfile and what it copies."""
    root = f"wsisam-container-{release.version}"
    found = {"Containerfile": release.tree / "docs" / "deploy" / "Containerfile"}
    for name in CONTEXT:
        top = release.tree / name
        for path in [top] if top.is_file() else top.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found[path.relative_to(release.tree).as_posix()] = path
    return packed({f"{root}/{name}": path.read_bytes() for name, path in found.items()}, release.epoch)


def packed(files: dict[str, bytes], epoch: int) -> bytes:
    """Files as .tar.gz, the same bytes for the same files: in the order of their names, nobody's, all of one time."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=epoch, filename="") as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(files[name]), epoch, 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return out.getvalue()


def catalog(text: str, page: str) -> str:
    """The extension manager's catalog, with its addresses below the project's page."""
    assert NOBODYS in text
    return text.replace(NOBODYS, page)


def notes(changes: str, release: Release) -> str:
    """What CHANGELOG.md says of the version, and how to tell that files are these.

    Raises:
        SystemExit: it has no section of that version.
    """
    found = re.search(rf"^## {re.escape(release.version)}\b.*?\n(.*?)(?=^## |\Z)", changes, re.MULTILINE | re.DOTALL)
    if found is None:
        sys.exit(f"CHANGELOG.md has no section '## {release.version}': a release is prepared by writing it")
    made = datetime.fromtimestamp(release.epoch, timezone.utc).date()
    return (
        f"# wsisam {release.version}\n\nOf {made}, commit {release.commit}. Research software. Not a medical device, "
        f"not for diagnosis.\n\nCheck the files with `sha256sum --check {SUMS}`.\n\n{found[1].strip()}\n"
    )


def _bills(release: Release, tools: Path, maven: list[str]) -> None:
    """What is inside, or comes with it: CycloneDX, for the base install, the server and the jar."""
    environment = _run([str(tools), "-m", "cyclonedx_py", "environment", sys.executable], release.tree)
    for name, extras in (("wsisam", ()), ("wsisam-server", ("server", "postgres"))):
        path = release.out / f"{name}-{release.version}.cdx.json"
        path.write_text(python_bill(environment, release.version, extras), encoding="utf-8")
    words = ["--batch-mode", "--quiet", "--file", "qupath_script/pom.xml"]
    words += ["org.cyclonedx:cyclonedx-maven-plugin:2.9.1:makeBom", "-DoutputFormat=json"]
    words += ["-DincludeProvidedScope=false", "-DincludeTestScope=false"]
    words += [f"-DoutputDirectory={release.out}", f"-DoutputName={release.jar.removesuffix('.jar')}.cdx"]
    _run([*maven, *words], release.tree)


def sums(folder: Path) -> str:
    """SHA-256 of all files, in the form of `sha256sum`."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


if __name__ == "__main__":
    main()
