"""A device that fails while its process goes on, as a GPU does: the double is inside a real replica, at each step.

And a machine that gets other weights than the server's.
"""

import os

from support.one_window import one_window
from wsisam_server.inference.scheduler import Device

OTHER = "other model"


def fail(flags, pid):
    """Has the device of a process fail from now on."""
    (flags / str(pid)).touch()


def change_model(flags):
    """Has processes that load the model from now on load another one."""
    (flags / OTHER).touch()


def load(flags):
    """Loads the default model into this process, and prepares that its device may fail."""
    real = Device.run

    async def run(device, work_item, call):
        def step():
            if (flags / str(os.getpid())).exists():
                raise RuntimeError("CUDA error: unspecified launch failure")
            return call()

        return await real(device, work_item, step)

    Device.run = run
    model = one_window()
    if (flags / OTHER).exists():
        model.set_low_reading("middle")
    return model
