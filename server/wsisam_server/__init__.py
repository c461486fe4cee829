"""The WSI-SAM annotation server: slides and prompts in, polygons in slide coordinates out.

The rooms of the package and the order of their imports are described in docs/architecture.md.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("wsisam")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
