import inspect
import sys

import Algorithmia

if not hasattr(inspect, "getargspec"):  # it went with Python 3.11, and the handler asks for it
    if "--as-it-is" not in sys.argv:
        inspect.getargspec = lambda f: inspect.getfullargspec(f)[:4]


def load():
    if "--no-load" in sys.argv:
        raise RuntimeError("no such model")
    return "loaded"


def apply(input, state):
    if input == "raise":
        raise ValueError("asked to")
    return "hello {}, {}".format(input, state)


Algorithmia.handler(apply, load).serve()
