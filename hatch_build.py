"""Puts QuPath's client jar and scripts into what is built: the wheel has them as files of `wsisam_server.qupath`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = "wsisam_server/qupath/files"


class QuPathFiles(BuildHookInterface[Any]):
    """Adds the jar that `make jar` built, and the scripts.

    Without the jar a package is built all the same, with a warning: the server needs no Java, and `wsisam qupath
    install` says what is missing.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling's hook; a development install (`version` is "editable") finds the files in the checkout."""
        if version == "editable":
            return
        client = Path(self.root, "qupath_script")
        jar = client / "target" / f"wsisam-qupath-client-{self.metadata.version}.jar"
        included: dict[str, str] = build_data["force_include"]
        if not jar.is_file():
            self.app.display_warning("QuPath's client jar is not built (make jar), so this package will not have it.")
        elif self.target_name == "sdist":
            included[str(jar)] = jar.relative_to(self.root).as_posix()  # a wheel may be built from it without Java
        else:
            included[str(jar)] = f"{FILES}/{jar.name}"
        if self.target_name == "wheel":
            for script in sorted((client / "src" / "main" / "groovy").glob("*.groovy")):
                included[str(script)] = f"{FILES}/{script.name}"
