"""The forms that apply and load may have, and what answers may be."""
import asyncio
import sys

import helper  # of src
from src.helper import shout


class Number:
    """As numpy's scalars and arrays are."""

    def tolist(self):
        return [1, 2.5]


def load(models):
    return {"models": sorted(models), "loaded": True}


async def later(text):
    await asyncio.sleep(0)
    return text


def apply(input, context):
    if input == "state":
        return context.state
    if input == "helper":
        return shout(helper.shout("x"))
    if input == "call":
        return [context.token, context.request_id, context.deadline is not None, context.cancelled]
    if input == "async":
        return later("came later")
    if input == "number":
        return {"of": Number()}
    if input == "nothing":
        return None
    if input == "bytes":
        return bytearray(b"bytes")
    if input == "lines":
        return iter([{"a": 1}, [2]])
    if input == "set":
        return {1, 2}
    if input == "nan":
        return float("nan")
    if input == "mixed":
        return (x for x in ["text", b"bytes"])
    if input == "key":
        return {}["no such key"]
    if input == "long":
        raise ValueError("é\n" * 100_000)
    if input == "exit":
        exit(4)
    if input == "log":
        context.log("a", 1)
        sys.stdout.close()
        return "logged"
    return "?"
