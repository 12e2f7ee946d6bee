"""Does on demand what programs do, for the tests of a whole server."""
import os
import sys
import time

count = 0


class CheeseError(Exception):
    error_type = "CheeseError"


def memory():
    kept = []
    while True:
        kept.append(bytearray(b"x" * (16 << 20)))


def apply(input):
    global count
    count += 1
    if not isinstance(input, str):
        return input
    word, _, rest = input.partition(" ")
    if word in ("raise", "stoa:error"):
        raise CheeseError("out of cheese")
    if word == "memory":
        memory()
    if word in ("sleep", "stoa:sleep"):
        time.sleep(float(rest or 60))
        return "slept"
    if word in ("exit", "stoa:exit"):
        os._exit(3)
    if word == "spam":
        for _ in range(100_000):
            print("x" * 99)
        return "done"
    if word in ("stderr", "stoa:print"):
        print("to standard output")
        print("to standard error", file=sys.stderr)
        return "printed"
    if word == "state":
        return count
    if word == "stoa:big":
        return "x" * int(rest or 1 << 20)
    if word == "stream":
        return (part for part in ("one ", "two ", "three"))
    return input
