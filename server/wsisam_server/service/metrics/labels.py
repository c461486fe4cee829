"""How methods and users are written in labels."""


def method_label(method: str) -> str:
    """Service and method: "Segmentation/Interact" for "/wsisam.v1.Segmentation/Interact"."""
    return method.rsplit(".", 1)[-1]


def user_label(name: str) -> str:
    """A token's user; "-" for callers without a token, as in the log."""
    return name or "-"
