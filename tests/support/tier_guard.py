"""Holds the tests of the tier `check` to what the tier promises: what they reach through the product fails there."""

import ipaddress
import sys

_LOCAL = {"", "localhost", "0.0.0.0", "::"}


class TierError(BaseException):
    """A test of the tier does what the tier leaves out. Not an Exception: no `except` of the product may swallow it."""


class TierGuard:
    """Once started, refuses networks, weights, processes and other machines, and remembers what it refused.

    `refused` tells it also where the refusal was raised on a thread that nobody looks at.
    """

    def __init__(self):
        self.refused = []
        self._patched = set()

    def start(self):
        """From now on."""
        sys.addaudithook(self._hear)

    def hold_the_model(self):
        """Refuses the model's networks and its files. Called again and again: torch is imported late, or never."""
        torch = sys.modules.get("torch")
        if torch is not None and "torch" not in self._patched and hasattr(torch, "nn"):
            self._patched.add("torch")
            torch.nn.Module.__call__ = self._refusing("runs a network")
            torch.nn.Module.load_state_dict = self._refusing("loads weights")
            torch.load = self._refusing("reads weights")

    def _refusing(self, what):
        def refuse(*_arguments, **_more):
            self._refuse(what, "model")

        return refuse

    def _refuse(self, what, mark):
        text = f"a test of the tier `check` {what}; if it must, mark it: @pytest.mark.{mark}"
        self.refused.append(text)
        raise TierError(text)

    def _hear(self, event, arguments):
        if event in {"subprocess.Popen", "os.posix_spawn"}:
            self._refuse(f"starts a process ({arguments[0]})", "process")
        elif event == "socket.connect" and isinstance(arguments[1], tuple) and not _is_here(arguments[1][0]):
            self._refuse(f"connects to {arguments[1][0]}", "network")
        elif event == "socket.getaddrinfo" and not _is_here(arguments[0]):
            self._refuse(f"looks up {arguments[0]}", "network")


def _is_here(host):
    """Whether a host is this machine."""
    host = host.decode() if isinstance(host, bytes) else host or ""
    if host in _LOCAL:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
