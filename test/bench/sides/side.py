"""A side in Python on bench/peers/serve.py, without any library: prints where a library would, and adds up."""
import sys

sys.path.insert(0, sys.argv[2])

from serve import options, serve  # noqa: E402


def set_up():
    given = options()
    print("a library's greeting")
    if given["fails"] == "at start":
        raise ValueError("no such thing")

    def step(index):
        print("a library's chatter")
        if given["fails"] == "at step":
            raise RuntimeError("no compiler\ndetails")
        return dict(sum=sum(range(given["upTo"])), index=index)

    return "Python", given["threads"], step


serve(set_up)
