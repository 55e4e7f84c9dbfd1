"""Makes this folder importable: ``from strategies import network_specs``."""

import signal
import threading

import lava_mlsnn  # noqa: F401 - before a test imports Lava: see LAVA_MLSNN_COMPAT

# A shell's background job starts with these ignored, its children too; tests send them.
if threading.current_thread() is threading.main_thread():
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)
