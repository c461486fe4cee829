"""The files that go into QuPath: from the installed package, or from the checkout that it runs from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import wsisam_server
from wsisam_server.qupath.errors import QuPathFilesError

JAR_PREFIX = "wsisam-qupath-client-"
JAR_FOLDER = "extensions"
SCRIPT_FOLDER = "scripts/WSI-SAM"
"""Below the user directory; QuPath shows a folder of scripts as a menu of its name."""

CLASSES_FOLDER = "wsisam-classes"
"""Below the user directory; there the extension keeps its scripts as the running QuPath compiled them."""

_PACKAGE = Path(wsisam_server.__file__).parent


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is installed.

    Attributes:
        jar: the client jar.
        scripts: the Groovy scripts, by name.
    """

    jar: Path
    scripts: tuple[Path, ...]

    def targets(self) -> dict[str, Path]:
        """The files by where they go, relative to a user directory, with forward slashes."""
        files = {f"{JAR_FOLDER}/{self.jar.name}": self.jar}
        return files | {f"{SCRIPT_FOLDER}/{script.name}": script for script in self.scripts}


def find_bundle(package: Path = _PACKAGE, version: str = wsisam_server.__version__) -> Bundle:
    """The files of this version.

    Args:
        package: folder of the package `wsisam_server`.
        version: of this package, and so of the jar; with a + in it, any jar will do.

    Raises:
        QuPathFilesError: the jar was not built, or the scripts are missing.
    """
    installed = package / "qupath" / "files"
    checkout = package.parents[1] / "qupath_script"
    # Run from a checkout that is not installed, the package does not know its version.
    name = f"{JAR_PREFIX}{'*' if '+' in version else version}.jar"
    if installed.is_dir():
        folders, advice = (installed, installed), "Install a released wheel of wsisam: this one was built without Java."
    else:
        folders = checkout / "target", checkout / "src" / "main" / "groovy"
        advice = "Run `make jar` in the checkout (it needs a JDK, 17 or newer, and Maven)."
    jars, scripts = sorted(folders[0].glob(name)), sorted(folders[1].glob("*.groovy"))
    if not jars:
        raise QuPathFilesError(f"QuPath's client jar ({name}) is not there. {advice}")
    if not scripts:
        raise QuPathFilesError(f"QuPath's scripts are not in {folders[1]}. Install wsisam again.")
    return Bundle(jars[-1], tuple(scripts))
