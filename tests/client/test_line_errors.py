"""What is said where there is no way to a server: the cause, and what to do. No server of ours runs here."""

import datetime as dt
import http.server
import threading
from concurrent import futures

import grpc
import pytest
import trustme

from support.line import Proxy
from wsisam_server.client import Client, ServerError
from wsisam_server.client.address import ServerAddress
from wsisam_server.client.line_errors import in_words
from wsisam_server.client.remote_store import RemoteStore
from wsisam_server.core.errors import Reason, WsiSamServerError

A_DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Servers by what is wrong with them, and the authority of those that encrypt."""
    now, lab = dt.datetime.now(dt.timezone.utc), trustme.CA()
    ca = tmp_path_factory.mktemp("pki") / "ca.pem"
    lab.cert_pem.write_to_path(ca)
    certificates = {
        "plain": None,
        "good": lab.issue_cert("127.0.0.1"),
        "expired": lab.issue_cert("127.0.0.1", not_after=now - A_DAY),
        "early": lab.issue_cert("127.0.0.1", not_before=now + A_DAY, not_after=now + 2 * A_DAY),
        "named": lab.issue_cert("gpu.lab"),
        "mutual": lab.issue_cert("127.0.0.1"),
    }
    found, servers = {"ca": ca, "nobody": "127.0.0.1:1"}, []
    for name, certificate in certificates.items():
        server = grpc.server(futures.ThreadPoolExecutor(1))
        if certificate is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            pair = certificate.private_key_pem.bytes(), b"".join(one.bytes() for one in certificate.cert_chain_pems)
            authority = lab.cert_pem.bytes() if name == "mutual" else None
            shown = grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
            port = server.add_secure_port("127.0.0.1:0", shown)
        server.start()
        servers.append(server)
        found[name] = f"127.0.0.1:{port}"
    web = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    found["web"] = f"127.0.0.1:{web.server_port}"
    yield found
    web.shutdown()
    web.server_close()
    for server in servers:
        server.stop(None)


CASES = [
    ("expired", True, ["certificate has expired"]),
    ("early", True, ["not valid yet", "clock"]),
    ("named", True, ["another name", "127.0.0.1", "subjectAltName"]),
    ("plain", True, ["does not encrypt", "https://"]),
    ("mutual", True, ["--tls-cert"]),
    ("good", False, ["https://127.0.0.1", "--tls-ca"]),
    ("nobody", False, ["is 'wsisam serve' running there?"]),
    ("web", False, ["no wsisam server", "port"]),
]


@pytest.mark.parametrize(("name", "encrypted", "words"), CASES)
def test_each_cause_is_told(places, name, encrypted, words):
    with Client(places[name], ca=str(places["ca"]) if encrypted else None, timeout=10) as client:
        with pytest.raises(ServerError) as caught:
            client.models()
        with pytest.raises(WsiSamServerError) as of_store:
            RemoteStore(client)
    assert caught.value.status == "UNAVAILABLE"
    for word in words:
        assert word in caught.value.text
    # The store of a server that is not reached is not at fault, and nobody is sent to it.
    assert of_store.value.public_text == caught.value.text
    assert (of_store.value.reason, of_store.value.private_text) == (Reason.STORE_UNAVAILABLE, "")


def test_an_authority_that_is_not_trusted(places):
    with Client(f"https://{places['good']}", timeout=10) as client, pytest.raises(ServerError, match="--tls-ca"):
        client.models()


def test_a_name_that_nobody_knows():
    with Client("no-such-computer.invalid", timeout=20) as client, pytest.raises(ServerError) as caught:
        client.models()
    assert "No computer named 'no-such-computer.invalid'" in caught.value.text


def test_a_proxy_that_refuses(monkeypatch):
    proxy = Proxy()
    monkeypatch.setenv("http_proxy", proxy.url)
    with Client("gpu.lab:8765", timeout=10) as client, pytest.raises(ServerError) as caught:
        client.models()
    assert "http_proxy" in caught.value.text
    assert "no_proxy" in caught.value.text


def test_a_proxy_is_not_blamed_for_hosts_that_have_none(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.lab:3128")
    monkeypatch.setenv("no_proxy", "example.com, .lab")
    refused = "failed to connect to all addresses; last error: Connection refused"
    assert "no_proxy" not in in_words(ServerAddress("gpu.lab"), "UNAVAILABLE", refused)
    assert "(https_proxy)" in in_words(ServerAddress("gpu.other"), "UNAVAILABLE", refused)


def test_what_is_not_known_is_said_as_it_is():
    lost = in_words(ServerAddress("gpu.lab"), "UNAVAILABLE", "the moon is full")
    assert lost == "The connection to gpu.lab:8765 was lost: the moon is full"
    assert in_words(ServerAddress("gpu.lab"), "INTERNAL", "the moon is full") == "the moon is full"
