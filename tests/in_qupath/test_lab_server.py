"""The scripts without a window against a lab's server: encrypted by the lab's own authority, with tokens, with a store."""

import json
from pathlib import Path

import pytest
import shapely
import trustme
from click.testing import CliRunner

from support.qupath_program import qupath_or_skip
from support.server import iou, start
from wsisam.v1 import annotations_pb2 as pb
from wsisam_model import WsiSam
from wsisam_server.cli import main
from wsisam_server.client import Client
from wsisam_server.core.settings import Tls
from wsisam_server.qupath import find_bundle
from wsisam_server.service.identity import Role, TokenFile

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]


@pytest.fixture
def own_qupath(tmp_path):
    """With preferences that no other test sees: what the scripts are told here, they keep."""
    return qupath_or_skip(tmp_path)


@pytest.fixture
def lab(server, tmp_path):
    """A lab's server, and the arguments that lead to it."""
    authority = trustme.CA(organization_name="lab")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "server.key")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(tmp_path / "server.pem", append=True)
    tokens = TokenFile(tmp_path / "tokens.json")
    (tmp_path / "anna.token").write_text(tokens.create("anna", Role.ANNOTATOR, frozenset({"*"}), None)[1] + "\n")
    running, stop = start(
        WsiSam.from_name("wsisam-lite"),
        server.root,
        tls=Tls(tmp_path / "server.pem", tmp_path / "server.key"),
        tokens=tokens.path,
        require_tokens=True,
        store=str(tmp_path / "annotations.sqlite"),
    )
    address = f"https://localhost:{running.target.rpartition(':')[2]}"
    yield {"server": address, "tokenFile": tmp_path / "anna.token", "certificates": tmp_path / "ca.pem"}
    stop()


def test_the_arguments_name_the_token_and_the_authority_and_are_kept(own_qupath, lab, server, project, dump):
    script = {one.stem: one for one in find_bundle().scripts}
    arguments = [f"{name}={value}" for name, value in lab.items()]
    said = own_qupath.script(script["WsiSamAnnotate"], "which=class:Stroma", *arguments, project=project, save=True)
    assert "1 of 1 annotations refined." in said
    assert iou(dump(project)[0]["c"]["geometry"], "c") > 0.9

    # Told once: the next script finds its way by itself.
    assert "3 add to store" in own_qupath.script(script["WsiSamSync"], project=project, save=True)
    token = lab["tokenFile"].read_text().strip()
    with Client(lab["server"], ca=lab["certificates"], token=token) as client:
        slide = client.open_slide(str(server.root / "discs.png")).slide_id
        request = pb.AnnotationsListRequest(filter=pb.AnnotationFilter(slide_id=slide))
        stored = [one for message in client.annotations.List(request) for one in message.annotations]
    assert {(one.name, one.author) for one in stored} == {(name, "qupath:anna") for name in "abc"}

    lab["tokenFile"].with_name("other.token").write_text("not-a-token")
    other = f"tokenFile={lab['tokenFile'].with_name('other.token')}"
    with pytest.raises(AssertionError, match="token"):
        own_qupath.script(script["WsiSamAnnotate"], "which=class:Stroma", other, project=project)


def test_an_invitation_that_is_dropped_on_the_window_sets_everything_up(own_qupath, lab, server, repository, tmp_path):
    invitation, damaged = tmp_path / "ben.wsisam", tmp_path / "damaged.wsisam"
    words = ["token", "create", "ben", "--expires", "1d", "--tokens", tmp_path / "tokens.json", "--invite", invitation]
    words += ["--server", lab["server"], "--ca", lab["certificates"]]
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == 0, done.output
    damaged.write_text(invitation.read_text()[:40])
    seen = own_qupath.drive(
        repository / "tests" / "in_qupath" / "drive_invitation.groovy",
        tmp_path / "seen.json",
        **{"drive.image": server.root / "discs.png", "drive.invitation": invitation, "drive.damaged": damaged},
    )
    assert seen["afterDamaged"] == ""
    assert seen["said"].startswith("Connected. ")
    [accepted] = seen["accepted"]
    assert iou(shapely.from_wkt(accepted["wkt"]), "a") > 0.9
    kept = Path(seen["tokenFile"])
    assert kept.parent == own_qupath.preferences.parent / "user" / "wsisam"
    assert json.loads(invitation.read_text())["token"] == kept.read_text().strip()
    assert seen["errors"] == []
