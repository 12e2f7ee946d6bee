"""Starts a program that speaks the pipe protocol by itself: one that uses
Algorithmia's development kit for Python, or the older Algorithmia.handler.

    pipe.py ENTRY

The kit reports an error by traceback.format_exception(etype=...), which Python
3.10 took away, and the handler asks inspect.getargspec, which 3.11 took away.
Both are given back here, so that the kits run as they were published.
"""
import inspect
import sys
import traceback

import stoa_author as author

format_exception = traceback.format_exception


def with_etype(*args, **named):
    if "etype" in named:
        args = (named.pop("etype"),) + args
    return format_exception(*args, **named)


def getargspec(function):
    return tuple(inspect.getfullargspec(function)[:4])


def main(entry):
    traceback.format_exception = with_etype
    if not hasattr(inspect, "getargspec"):
        inspect.getargspec = getargspec
    try:
        author.load(entry)
    except SystemExit:
        raise
    except BaseException as error:
        # Before the ready line, standard error is what is shown of a failed start.
        print("%s%s: %s" % (author.place(error), type(error).__name__, author.message(error)), file=sys.stderr)
        print(author.stack(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
