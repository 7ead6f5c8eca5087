"""How much the threads that do the work give way to everything else on their machine."""

import os
import sys
import threading
from contextlib import suppress


def give_way(niceness: int) -> None:
    """Lets this thread, and the processes that it starts, give way to others by so much.

    The threads that keep leases and answer calls stay as they are. Only Linux has a niceness for
    each thread; whoever gives way more already stays so.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # Some sandboxes forbid it.
        with suppress(OSError):
            if os.getpriority(os.PRIO_PROCESS, thread) < niceness:
                os.setpriority(os.PRIO_PROCESS, thread, niceness)
