"""QuPath's side, as the double and as a real QuPath."""

from annotations.sync.contract import ProjectContract


class TestProject(ProjectContract):
    """With each of `tools`."""
