"""What can go wrong between this server and its replicas."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster cannot be used as the settings say; the text says what to change."""


class ReplicaLostError(Exception):
    """A call was not answered: its replica, its node or the way there is gone. It may be repeated."""
