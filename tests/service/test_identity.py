"""Who may do what: every method by every kind of caller, over real gRPC; tokens, revocation and authors."""

import io
import json
import logging
import threading
import uuid
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.annotations import Caller, Watch, new, sync_requests
from support.server import around, start, write_picture
from support.waiting import until
from wsisam.v1 import annotations_pb2 as ann
from wsisam.v1 import annotations_pb2_grpc
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError, server_error
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import Keyring, RateLimiter, Role, TokenFile
from wsisam_server.service.interceptors import METHOD_PERMISSIONS, Access, JsonLines, LogContext
from wsisam_server.service.interceptors.method_permissions import UNKNOWN_METHOD

TABLE = {
    # method: who is let in, of (n)obody known, (r)eader, (a)nnotator, admini(s)trator
    "wsisam.v1.Segmentation/ListModels": "ras",
    "wsisam.v1.Segmentation/OpenSlide": "ras",
    "wsisam.v1.Segmentation/CloseSlide": "ras",
    "wsisam.v1.Segmentation/Segment": "as",
    "wsisam.v1.Segmentation/SegmentBatch": "as",
    "wsisam.v1.Segmentation/Interact": "as",
    "wsisam.v1.Segmentation/SegmentEverything": "as",
    "wsisam.v1.Annotations/Save": "as",
    "wsisam.v1.Annotations/Get": "ras",
    "wsisam.v1.Annotations/List": "ras",
    "wsisam.v1.Annotations/Delete": "as",
    "wsisam.v1.Annotations/Restore": "as",
    "wsisam.v1.Annotations/ListRevisions": "ras",
    "wsisam.v1.Annotations/ListSlides": "ras",
    "wsisam.v1.Annotations/GetStore": "ras",
    "wsisam.v1.Annotations/Watch": "ras",
    "wsisam.v1.Annotations/Sync": "as",
    "grpc.health.v1.Health/Check": "nras",
    "grpc.health.v1.Health/List": "nras",
    "grpc.health.v1.Health/Watch": "ras",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "ras",
}

NOT_IN_ALL_VERSIONS = {"grpc.health.v1.Health/List"}


@dataclass
class Lab:
    """A server that asks for tokens, and a token of each kind."""

    running: object
    file: TokenFile
    tokens: dict

    def metadata(self, who):
        return (("authorization", f"Bearer {self.tokens[who]}"),) if who != "nobody" else ()


@pytest.fixture(scope="module")
def lab(model, tmp_path_factory):
    root = tmp_path_factory.mktemp("lab")
    (root / "slides").mkdir()
    write_picture(root / "slides" / "discs.png")
    file = TokenFile(root / "tokens.json")
    later = datetime.now(timezone.utc) + timedelta(days=1)
    tokens = {
        "reader": file.create("rita", Role.READER, frozenset({"colon"}), later)[1],
        "annotator": file.create("anna", Role.ANNOTATOR, frozenset({"colon"}), None)[1],
        "administrator": file.create("boss", Role.ADMIN, frozenset(), None)[1],
        "expired": file.create("old", Role.ADMIN, frozenset(), datetime(2001, 1, 1, tzinfo=timezone.utc))[1],
        "stranger": "wsisam_0badcafe_" + "x" * 43,
    }
    running, stop = start(
        model, root / "slides", store=str(root / "annotations.sqlite"), tokens=file.path, require_tokens=True
    )
    yield Lab(running, file, tokens)
    stop()


@pytest.fixture
def connect(lab):
    """A client with a token."""
    clients = []

    def connected(who):
        clients.append(Client(lab.running.target, token=lab.tokens.get(who, who), timeout=120))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


class Signed(Caller):
    """Calls of the Annotations service with a token."""

    def __init__(self, client):
        self.stub = client.annotations


def methods(lab):
    """Every method of every service that the server says it has."""
    with grpc.insecure_channel(lab.running.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        (reply,) = stub.ServerReflectionInfo(asked, metadata=lab.metadata("administrator"))
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(service.name) for service in reply.list_services_response.service]
    return {f"{service.full_name}/{method.name}": method for service in services for method in service.methods}


def knock(channel, path, method, metadata):
    """Calls a method with an empty message; returns the status and the catalogue's reason of the answer."""
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    call = getattr(channel, kind)(f"/{path}")
    try:
        answer = call(iter(()) if method.client_streaming else b"", metadata=metadata, timeout=60)
        if method.server_streaming:
            next(answer, None)
            answer.cancel()
    except grpc.RpcError as error:
        return error.code().name, server_error(error).reason
    return "OK", ""


def test_every_method_is_in_the_table(lab):
    there = set(methods(lab))
    assert there | NOT_IN_ALL_VERSIONS == set(TABLE)
    assert {f"/{path}" for path in TABLE} == set(METHOD_PERMISSIONS) - {UNKNOWN_METHOD}


def test_strangers_are_not_told_which_release_this_is(lab):
    with grpc.insecure_channel(lab.running.target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/wsisam.v1.Annotations/History")(b"")
    assert server_error(caught.value).reason == "TOKEN_MISSING"


@pytest.mark.parametrize("who", ["nobody", "reader", "annotator", "administrator", "stranger", "expired"])
def test_every_cell_of_the_table(lab, who):
    refusals = {
        "nobody": ("UNAUTHENTICATED", "TOKEN_MISSING"),
        "stranger": ("UNAUTHENTICATED", "TOKEN_INVALID"),
        "expired": ("UNAUTHENTICATED", "TOKEN_EXPIRED"),
    }
    letter = {"nobody": "n", "reader": "r", "annotator": "a", "administrator": "s"}.get(who, "n")
    refused = refusals.get(who, ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"))
    wrong = {}
    with grpc.insecure_channel(lab.running.target) as channel:
        for path, method in methods(lab).items():
            got = knock(channel, path, method, lab.metadata(who))
            let_in = got[0] not in ("UNAUTHENTICATED", "PERMISSION_DENIED")
            if let_in != (letter in TABLE[path]) or (not let_in and got != refused):
                wrong[path] = got
    assert wrong == {}


def test_a_method_without_a_line_is_refused_to_all(lab):
    access = Access(Keyring(lab.file.path), required=False, streams=64, rate_limiter=RateLimiter(200, 2000))
    for who in ("nobody", "administrator"):
        with pytest.raises(WsiSamServerError) as caught:
            # In a context of its own: who is let in stays noted where the call runs.
            copy_context().run(access.admit, "/wsisam.v1.Segmentation/NewOne", lab.metadata(who))
        assert caught.value.reason is Reason.ROLE_NOT_ALLOWED


@pytest.mark.parametrize("value", ["", "Bearer", "Basic YW5uYTpzZWNyZXQ=", "Bearer a b"])
def test_what_is_no_token_is_refused(lab, value):
    with grpc.insecure_channel(lab.running.target) as channel, pytest.raises(grpc.RpcError) as caught:
        call = channel.unary_unary("/wsisam.v1.Segmentation/ListModels")
        call(b"", metadata=(("authorization", value),), timeout=60)
    assert server_error(caught.value).reason == "TOKEN_INVALID"


def test_the_author_is_the_tokens_user_whatever_is_said(connect):
    caller = Signed(connect("annotator"))
    for claimed in ("boss", "anna", ""):
        (saved,) = caller.save(new(), author=claimed).saved
        found = caller.get(saved.id).annotation
        assert (found.author, found.creator) == ("anna", "anna")
        gone = caller.delete(saved.id, saved.revision, author=claimed).saved[0]
        caller.restore(saved.id, gone.revision, author=claimed)
        assert {one.author for one in caller.history(saved.id)} == {"anna"}
        synced = new()
        list(caller.stub.Sync(sync_requests([synced], author=claimed), timeout=60))
        assert caller.get(synced.id).annotation.author == "anna"


def test_the_author_of_an_outline_that_is_kept(connect):
    client = connect("annotator")
    slide = client.open_slide("discs.png")
    for claimed in ("boss", ""):
        commit = pb.Commit(annotation_id=str(uuid.uuid4()), author=claimed, project="colon")
        client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"), commit=commit))
        assert Signed(client).get(commit.annotation_id).annotation.author == "anna"


def test_readers_read_their_projects_and_push_no_pixels(connect):
    annotator, reader = Signed(connect("annotator")), Signed(connect("reader"))
    (shared,) = annotator.save(new(project="colon")).saved
    (private,) = annotator.save(new()).saved
    assert shared.id in reader.ids()
    assert private.id not in reader.ids()
    assert reader.get(shared.id).annotation.author == "anna"
    with pytest.raises(ServerError) as caught:
        reader.get(private.id)
    assert (caught.value.status, caught.value.reason) == ("NOT_FOUND", "ANNOTATION_NOT_FOUND")
    assert connect("reader").open_slide("discs.png").width == 900
    with pytest.raises(ServerError) as caught:
        connect("reader").open_slide("file:///elsewhere.png", pb.PixelSource(width=900, height=700))
    assert (caught.value.status, caught.value.reason) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")


def test_a_project_of_others_is_refused_with_what_to_do(connect):
    with pytest.raises(ServerError) as caught:
        Signed(connect("annotator")).save(new(project="skin"))
    assert (caught.value.status, caught.value.reason) == ("PERMISSION_DENIED", "PROJECT_NOT_YOURS")
    assert "--project" in caught.value.text
    Signed(connect("administrator")).save(new(project="skin"))


def test_a_watch_shows_what_is_ones_own(connect):
    boss, anna = Signed(connect("administrator")), Signed(connect("annotator"))
    since = boss.listed()[-1].revision
    with anna.watching(since=since) as watch:
        boss.save(new(project="skin"))
        (seen,) = boss.save(new(project="colon")).saved
        assert watch.revisions(1) == [seen.revision]


def test_a_slide_in_pixel_mode_is_closed_by_its_user_or_an_administrator_alone(connect):
    anna, others, boss = connect("annotator"), connect("reader"), connect("administrator")
    for closing, closes in ((others, False), (anna, True), (boss, True)):
        slide = anna.open_slide("nowhere.svs", pb.PixelSource(width=900, height=700))
        closing.close_slide(slide.slide_id)
        with pytest.raises(ServerError) as caught:
            anna.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
        assert caught.value.reason == ("UNKNOWN_SLIDE_ID" if closes else "PIXELS_NEEDED")


def test_revocation_ends_open_streams_and_refuses_the_next_call(lab, connect):
    token, secret = lab.file.create("gone", Role.ANNOTATOR, frozenset(), None)
    client, other = connect(secret), Signed(connect("annotator"))
    slide = client.open_slide("discs.png")
    asked_all = threading.Event()
    replies = client.stub.Interact(_never_ending(slide.slide_id, asked_all))
    assert next(replies).WhichOneof("message") == "started"
    stub: annotations_pb2_grpc.AnnotationsStub = client.annotations
    watch = Watch(stub.Watch(ann.AnnotationsWatchRequest()))
    watch.next()
    with other.watching() as stays:
        stays.next()
        lab.file.revoke(token.id)
        with pytest.raises(ServerError) as caught:
            while True:
                watch.next()
        assert (caught.value.status, caught.value.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
        with pytest.raises(grpc.RpcError) as ended:
            list(replies)
        assert server_error(ended.value).reason == "TOKEN_INVALID"
        with pytest.raises(ServerError) as caught:
            client.models()
        assert caught.value.reason == "TOKEN_INVALID"
        # Whoever else is at work goes on.
        (saved,) = other.save(new()).saved
        while saved.revision not in [one.revision for one in stays.next().annotations]:
            pass
    asked_all.set()
    watch.reader.join()


def _never_ending(slide_id, asked_all):
    yield pb.InteractRequest(start=pb.Start(session_id=uuid.uuid4().hex, slide_id=slide_id))
    asked_all.wait(60)


def calls_of(log):
    """The last line that a log has of each user's calls."""
    return {line["user"]: line for line in map(json.loads, log.getvalue().splitlines()) if "method" in line}


def test_log_lines_carry_the_user_and_what_became_of_the_call(lab, connect):
    written = io.StringIO()
    handler, logger = logging.StreamHandler(written), logging.getLogger("wsisam_server")
    handler.setFormatter(JsonLines())
    handler.addFilter(LogContext())
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        call = connect("annotator").stub.ListModels.with_call
        call(pb.ListModelsRequest(), metadata=(("x-request-id", "my-own"),), timeout=60)
        with pytest.raises(ServerError):
            connect("reader").segment(pb.SegmentRequest())
        # A call's line is written when it has ended, which its client may know before.
        until(lambda: {"anna", "rita"} <= calls_of(written).keys(), 5)
        lines = calls_of(written)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    done, refused = lines["anna"], lines["rita"]
    assert (done["user"], done["request_id"], done["status"], done["reason"]) == ("anna", "my-own", "OK", "")
    assert done["method"] == "/wsisam.v1.Segmentation/ListModels"
    assert 0 < done["milliseconds"] < 60_000
    assert (refused["user"], refused["status"], refused["reason"]) == ("rita", "PERMISSION_DENIED", "ROLE_NOT_ALLOWED")


def test_health_is_known_to_all(lab):
    with grpc.insecure_channel(lab.running.target) as channel:
        call = channel.unary_unary("/grpc.health.v1.Health/Check", None, health_pb2.HealthCheckResponse.FromString)
        assert call(b"", timeout=60).status == health_pb2.HealthCheckResponse.SERVING
