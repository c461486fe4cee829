"""The default model told to read one window a field: for tests whose question is not how many there are."""

from wsisam_model import WsiSam


def one_window(**more):
    """The default model; low-resolution images stay unread."""
    model = WsiSam.from_name("wsisam-lite", **more)
    model.set_low_reading("none")
    return model
