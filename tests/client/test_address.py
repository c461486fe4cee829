"""Addresses of servers, as people write them; the Java client's tests have the same ones."""

import pytest

from wsisam_server.client import Client
from wsisam_server.client.address import ServerAddress


@pytest.mark.parametrize(
    ("text", "host", "port", "tls"),
    [
        ("gpu.lab", "gpu.lab", 8765, False),
        ("gpu.lab:9000", "gpu.lab", 9000, False),
        ("HTTPS://gpu.lab", "gpu.lab", 8765, True),
        ("https://gpu.lab:9000/", "gpu.lab", 9000, True),
        ("Http://gpu.lab:9000", "gpu.lab", 9000, False),
        (" 10.20.0.5:8765\r\n", "10.20.0.5", 8765, False),
        ("[::1]", "::1", 8765, False),
        ("https://[fe80::1]:9000/", "fe80::1", 9000, True),
        ("localhost:", "localhost", 8765, False),
    ],
)
def test_what_people_write(text, host, port, tls):
    address = ServerAddress.parse(text)
    assert (address.host, address.port, address.tls) == (host, port, tls)
    again = ServerAddress.parse(str(address))
    assert (again.host, again.port, again.tls) == (host, port, tls)


@pytest.mark.parametrize(
    "text", ["", "gpu.lab:port", "gpu.lab:0", "gpu.lab:65536", "ftp://gpu.lab", "gpu.lab/slides", "me@gpu.lab", "a b:1"]
)
def test_what_is_no_address_says_how_to_write_one(text):
    with pytest.raises(ValueError, match=r"HOST:PORT, or https://HOST:PORT"):
        Client(text)


@pytest.mark.parametrize("text", ["::1", "::1:8766", "https://fe80::1/"])
def test_an_ipv6_address_needs_brackets(text):
    with pytest.raises(ValueError, match=r"in brackets, for example \[::1\]:8765"):
        Client(text)


def test_a_client_says_where_it_leads_and_no_token():
    with Client("localhost:1", token="secret") as client:
        assert repr(client) == "Client('localhost:1')"
