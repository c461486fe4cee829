"""catalog.json is what QuPath's extension manager reads, by the rules of its CatalogModel, and offers this version's jar."""

import json
import re
from urllib.parse import urlsplit

import pytest

from wsisam_server.qupath.bundle import JAR_PREFIX

VERSION = re.compile(r"v\d+\.\d+\.\d+(-rc\d+)?")


@pytest.fixture
def extension(repository):
    catalog = json.loads((repository / "catalog.json").read_text(encoding="utf-8"))
    assert catalog["name"]
    assert catalog["description"]
    [extension] = catalog["extensions"]
    return extension


@pytest.fixture
def version(repository):
    project = (repository / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "(.+)"$', project, re.MULTILINE)[1]


def test_the_extension_is_described(extension):
    for field in ("name", "description", "author", "homepage"):
        assert isinstance(extension[field], str)
        assert extension[field]
    assert urlsplit(extension["homepage"]).netloc == "github.com"  # the manager refuses others
    assert type(extension["starred"]) is bool


def test_each_release_names_its_jar_and_the_oldest_qupath(extension):
    for release in extension["releases"]:
        assert VERSION.fullmatch(release["name"])
        address = urlsplit(release["main_url"])
        assert (address.scheme, address.netloc) == ("https", "github.com")
        assert address.path.endswith(f"/{release['name']}/{JAR_PREFIX}{release['name'].removeprefix('v')}.jar")
        assert release["version_range"] == {"min": "v0.6.0"}, "0.5 has no manager; newer ones are not refused"


def test_until_there_is_a_release_page_the_addresses_are_nobodys(extension):
    """GitHub gives nobody a name with an underscore: whoever took a likely one could hand out a jar as ours."""
    addresses = [extension["homepage"], *(release["main_url"] for release in extension["releases"])]
    assert {urlsplit(address).path.split("/")[1] for address in addresses} == {"_unreleased_"}


def test_this_version_is_offered_first(extension, version):
    assert extension["releases"][0]["name"] == f"v{version}"
