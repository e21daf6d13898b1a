"""What a worker shares with its master."""

import subprocess
import sys

from tests.processes import INHERITED, ROOT

ASLEEP = """
import os, signal, threading, time
from config.server.process import SharedState

shared = SharedState()
os.dup(shared.writer.fileno())  # the master's end of the pipe, which a worker closes
shared.start_worker()
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())

def arrive():
    time.sleep(0.2)
    # This does not interrupt the wait of the main thread.
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=arrive).start()
ended.wait()
"""


def test_a_signal_that_did_not_interrupt_the_main_thread_is_noticed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASLEEP], cwd=ROOT, env=INHERITED, timeout=15, check=False
    )

    assert done.returncode == 0
