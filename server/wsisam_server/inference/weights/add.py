"""Adding a model: its files fetched, hashed and loaded once before anybody sees it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from wsisam_model import CheckpointError, registry
from wsisam_server.inference.weights.errors import WeightsError
from wsisam_server.inference.weights.fetch import XXH128, copy, download, examine, is_url, xxh128
from wsisam_server.inference.weights.files import frozen_sam, load_files
from wsisam_server.inference.weights.names import check_name
from wsisam_server.inference.weights.published import PUBLISHED
from wsisam_server.inference.weights.record import PARTS, ModelRecord, Part, WeightsFile
from wsisam_server.inference.weights.staging import staging

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsisam_model import WsiSam
    from wsisam_server.inference.weights.folder import WeightsFolder


@dataclass(frozen=True)
class ModelSpec:
    """A model to be added.

    Attributes:
        name: what to call it.
        origins: the path or URL of each of its files; those that are published under this name may be left out.
        checksums: what the files must have, by part: SHA-256 in hex, or "xxh128:" and XXH3-128 in hex.
        base: a model whose frozen SAM it uses. Left out where `origins` is an additions file alone: the default model.
        licence: of the weights; None for the published one's, or unknown.
        source: where they come from, for people; None for the published one's, or unknown.
        settings: fields of `ModelSettings` that shall differ from what the files want.
        link: leave local files where they are.
    """

    name: str
    origins: Mapping[Part, str]
    checksums: Mapping[Part, str] = field(default_factory=dict)
    base: str | None = None
    licence: str | None = None
    source: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    link: bool = False


class AddListener(Protocol):
    """Is called with the progress of adding a model."""

    def fetching(self, part: Part, done: int, total: int | None) -> None:
        """So many bytes of a file are here, of so many where that is known."""
        ...

    def checking(self) -> None:
        """The files are here and are being loaded."""
        ...


def add(folder: WeightsFolder, spec: ModelSpec, listener: AddListener) -> ModelRecord:
    """Adds a model. It is there with its last file, or not at all.

    Raises:
        WeightsError: the name is taken or not allowed, a file cannot be had, differs from its checksum or cannot be
            loaded, or there is no room for it.
    """
    spec = completed(spec)
    folder.require_free(spec.name)
    base = None if spec.base is None else frozen_sam(folder, spec.base)
    with staging(folder.path) as place:
        files = {part: _fetched(spec, part, place, listener) for part in PARTS if part in spec.origins}
        listener.checking()
        model = _loaded(spec, files, place, base)
        record = ModelRecord(
            name=spec.name,
            description=model.description,
            added=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            licence=spec.licence or "",
            source=spec.source or "",
            base=spec.base,
            image_size=model.image_size,
            uses_low=model.wants_low,
            weights_hash=model.weights_hash,
            nbytes=model.nbytes,
            settings=model.settings,
            files=files,
        )
        folder.publish(place, record)
    return record


def completed(spec: ModelSpec) -> ModelSpec:
    """The specification with its defaults filled in.

    Raises:
        WeightsError: it makes no model.
    """
    check_name(spec.name)
    published = PUBLISHED.get(spec.name)
    if published is not None and "sam" not in spec.origins and spec.base is None:
        if published.with_papers_files and "high" not in spec.origins:
            raise WeightsError(
                f"{spec.name} is the paper's model: its authors' files are needed too. Run: wsisam weights add "
                f"{spec.name} --high net_high.pth --low net_low.pth (the frozen SAM is downloaded, or --sam FILE)"
            )
        spec = dataclasses.replace(
            spec,
            origins={"sam": published.url, **spec.origins},
            checksums={"sam": published.checksum, **spec.checksums},
            licence=spec.licence or (None if published.with_papers_files else published.licence),
            source=spec.source or published.source,
        )
    if set(spec.origins) == {"additions"} and spec.base is None:
        spec = dataclasses.replace(spec, base=registry.DEFAULT)
    _check(spec)
    return spec


def _check(spec: ModelSpec) -> None:
    given = set(spec.origins)
    if "sam" in given and spec.base is not None:
        raise WeightsError("--base takes the place of --sam; give one of them")
    if "sam" not in given and spec.base is None:
        names = ", ".join(PUBLISHED)
        raise WeightsError(
            f"{spec.name}: --sam FILE is needed, or --base MODEL to use that model's frozen SAM. "
            f"Known by name, without a file: {names}"
        )
    if spec.base is not None and not given:
        raise WeightsError(f"nothing is added to {spec.base}: give --additions, or --high and --low")
    if "low" in given and "high" not in given:
        raise WeightsError("--low needs --high")
    if "additions" in given and "high" in given:
        raise WeightsError("--additions takes the place of --high and --low")
    for part in spec.checksums:
        if part not in given:
            raise WeightsError(f"a checksum is given for {part}, and no file")


def _fetched(spec: ModelSpec, part: Part, place: Path, listener: AddListener) -> WeightsFile:
    origin = spec.origins[part]

    def progress(done: int, total: int | None) -> None:
        listener.fetching(part, done, total)

    if is_url(origin):
        name = part + _suffix(PurePosixPath(urlsplit(origin).path).suffix)
        sha256, nbytes = download(origin, place / name, progress)
    else:
        path = Path(origin).absolute()
        origin, name = str(path), part + _suffix(path.suffix)
        if spec.link:
            name = str(path)
            sha256, nbytes = examine(path, progress)
        else:
            sha256, nbytes = copy(path, place / name, progress)
    expected = spec.checksums.get(part, sha256).lower()
    kind, found = "SHA-256", sha256
    if expected.startswith(XXH128):
        kind, found, expected = "XXH3-128", xxh128(place / name), expected.removeprefix(XXH128)
    if found != expected:
        raise WeightsError(
            f"{origin} is not the file that was meant: its {kind} is {found}, and {expected} was expected. "
            "Nothing was added"
        )
    return WeightsFile(name, sha256, nbytes, origin)


def _suffix(given: str) -> str:
    """Of two kinds of file: the loader tells them by it."""
    return ".safetensors" if given == ".safetensors" else ".pth"


def _loaded(spec: ModelSpec, files: Mapping[Part, WeightsFile], place: Path, base: Path | None) -> WsiSam:
    located: dict[Part, Path] = {part: place / each.file for part, each in files.items()}
    if base is not None:
        located["sam"] = base
    try:
        model = load_files(located, name=spec.name)
        if not spec.settings:
            return model
        settings = dataclasses.replace(model.settings, **spec.settings)
        return load_files(located, name=spec.name, settings=settings)
    except CheckpointError as error:
        part = next((part for part, path in located.items() if path == error.path), None)
        origin = spec.origins.get(part, str(error.path)) if part is not None else str(error.path)
        hint = ". Does the link lead to the file itself?" if is_url(origin) else ""
        problem = str(error).removeprefix(f"{error.path}: ")
        raise WeightsError(f"{origin}: {problem}{hint} Nothing was added") from error
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{spec.name}: {error}. Nothing was added") from error
