"""Without the extra nothing needs Ray, and with it nothing imports it before it is used."""

import subprocess
import sys

EVERYTHING = """
import pkgutil, sys, wsisam_server, wsisam_server.inference.cluster, wsisam_server.inference.cluster.replica, wsisam_model
import wsisam_server.cli.app, wsisam_server.cli
from wsisam_server.cli import COMMANDS, main
for name in COMMANDS:
    main.get_command(None, name)
print("serve" in COMMANDS, sorted(name for name in sys.modules if name == "ray" or name.startswith("ray.")), flush=True)
sys.modules["ray"] = None  # as if it were not installed
main(["serve", "--engine", "ray", "--store", "none", "--port", "0"])
"""


def test_nothing_imports_ray_unless_it_is_asked_for_and_the_error_names_the_extra():
    command = [sys.executable, "-c", EVERYTHING]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "True []\n", done.stderr
    assert done.returncode == 1
    assert 'pip install ".[ray]"' in done.stderr
    assert "Traceback" not in done.stderr
