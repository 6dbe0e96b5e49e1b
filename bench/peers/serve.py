"""A peer's half of bench/protocol.ts: JSON lines over stdin and stdout. Sets up, then runs steps on command.

Whatever a library prints goes to stderr: stdout carries the protocol alone.
"""
import json
import os
import sys
import time


def options():
    """The side's one argument, an object."""
    return json.loads(sys.argv[1])


def _resident():
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    size = lambda name: int(fields[name].split()[0]) * 1024
    return dict(peakRssBytes=size("VmHWM"), rssBytes=size("VmRSS"))


def serve(set_up):
    """`set_up()` returns (version, threads, step); `step(index)` returns a dict of numbers."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    say = lambda message: out.write(json.dumps(message) + "\n")
    try:
        version, threads, step = set_up()
        say(dict(type="ready", version=version, threads=threads))
        index = 0
        for line in sys.stdin:
            steps = json.loads(line)["steps"]
            started = time.perf_counter()
            for _ in range(steps):
                values = step(index)
                index += 1
            ms = (time.perf_counter() - started) * 1000
            say(dict(type="ran", ms=ms, values=values, **_resident()))
    except Exception as error:
        say(dict(type="failed", message=f"{type(error).__name__}: {error}"[:2000]))
