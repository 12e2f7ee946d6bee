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


def asked(word, input):
    """What stoa runner-test asks for."""
    if word == "stoa:error":
        raise CheeseError("stoa:error")
    if word == "stoa:print":
        print("stoa:out")
        print("stoa:err", file=sys.stderr)
    if word == "stoa:flood":
        sys.stdout.write("f" * (10 << 20))
    if word == "stoa:big":
        return "x" * (1 << 20)
    if word == "stoa:sleep":
        time.sleep(0.5)
    if word == "stoa:exit":
        os._exit(3)
    return input


def apply(input):
    global count
    count += 1
    if not isinstance(input, str):
        return input
    word, _, rest = input.partition(" ")
    if word.startswith("stoa:"):
        return asked(word, input)
    if word == "raise":
        raise CheeseError("out of cheese")
    if word == "memory":
        memory()
    if word == "sleep":
        time.sleep(float(rest or 60))
        return "slept"
    if word == "exit":
        os._exit(3)
    if word == "spam":
        for _ in range(100_000):
            print("x" * 99)
        return "done"
    if word == "stderr":
        print("to standard output")
        print("to standard error", file=sys.stderr)
        return "printed"
    if word == "state":
        return count
    if word == "stream":
        return (part for part in ("one ", "two ", "three"))
    return input
