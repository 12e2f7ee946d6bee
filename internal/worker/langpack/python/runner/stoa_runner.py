"""Speaks the frames protocol of docs/runner-protocol.md for a Python program.

    start.py ENTRY

ENTRY is the author's file, which holds apply. Python 3.8 or newer, and its
standard library, are all that is needed. Modules that take long to import, such
as json, are imported when a call first needs them: a start is a call's wait.
"""
import os
import struct
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket  # socket itself takes 4 ms to import
from _thread import allocate_lock
from time import time

import stoa_author as author

READY, RESULT, CHUNK, ERROR, LOG, CALL, CANCEL, STOP = 1, 2, 3, 4, 5, 16, 17, 18
VOID, TEXT, JSON, BINARY = 0, 1, 2, 3
HEAD = struct.Struct("<IBBHQ")
MOST_HEAD = 65535  # its length has 16 bits
JOIN = 64 << 10  # data up to this is copied behind its head, and sent in one call


class Connection:
    """Frames over the socket to Stoa."""

    def __init__(self, path):
        self.socket = socket(AF_UNIX, SOCK_STREAM)
        self.socket.connect(path)
        self.pending = b""
        self.lock = allocate_lock()

    def send(self, kind, number, content=VOID, data=b"", head=b""):
        first = HEAD.pack(len(head) + len(data), kind, content, len(head), number) + head
        with self.lock:
            if len(data) <= JOIN:
                self.socket.sendall(first + data)
            else:
                self.socket.sendall(first)
                self.socket.sendall(data)

    def read(self):
        """The next frame: kind, content, number, head, data. None at the end."""
        have = self.pending
        while len(have) < HEAD.size:
            more = self.socket.recv(JOIN)
            if not more:
                return None
            have += more
        size, kind, content, head, number = HEAD.unpack_from(have)
        end, split = HEAD.size + size, HEAD.size + head
        if len(have) < end:
            have = self.fill(have, end)
            if have is None:
                return None
        self.pending = have[end:]
        return kind, content, number, have[HEAD.size:split], have[split:end]

    def fill(self, have, end):
        whole = bytearray(end)
        whole[:len(have)] = have
        at, view = len(have), memoryview(whole)
        while at < end:
            n = self.socket.recv_into(view[at:])
            if not n:
                return None
            at += n
        return bytes(whole)


class Context:
    """What apply(input, context) gets beside its input."""

    def __init__(self, head, state):
        self._head, self._came, self._fields = head, time(), None
        self.state = state  # what load gave
        self.cancelled = False

    def _field(self, name):
        if self._fields is None:
            import json

            self._fields = json.loads(self._head) if self._head else {}
        return self._fields.get(name)

    @property
    def token(self):
        """The key for calls of other algorithms on this call's behalf."""
        return self._field("token") or os.environ.get("ALGORITHMIA_API_KEY")

    @property
    def request_id(self):
        return self._field("request_id")

    @property
    def media_type(self):
        return self._field("media_type")

    @property
    def deadline(self):
        """When the answer must be there, as time.time() counts; None: no limit."""
        left = self._field("deadline_ms")
        return None if left is None else self._came + left / 1000

    def log(self, *values):
        """Writes a line to the call's standard error."""
        print(*values, file=sys.stderr, flush=True)


def plain(value):
    """What json cannot write by itself: numbers and arrays of numpy, tensors."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError("apply answered with %s, which is neither text nor bytes nor JSON" % type(value).__name__)


class Json:
    """json, imported at first use."""

    encode = None

    @classmethod
    def dump(cls, value):
        if cls.encode is None:
            import json

            cls.encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain).encode
        return cls.encode(value).encode("utf-8")

    @staticmethod
    def load(data):
        import json

        return json.loads(data)


def decode(content, data):
    if content == TEXT:
        return data.decode("utf-8")
    if content == JSON:
        return Json.load(data)
    return data if content == BINARY else None


def encode(value):
    if isinstance(value, str):
        return TEXT, value.encode("utf-8")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return BINARY, bytes(value)
    return JSON, Json.dump(value)


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):  # closed or replaced by the author
            pass


def failure(error, loading=False):
    """The head of an error frame."""
    kind = getattr(error, "error_type", None) or ("LoadingError" if loading else "AlgorithmError")
    text, trace = author.message(error), author.stack(error)
    if loading:
        text = "%s%s: %s" % (author.place(error), type(error).__name__, text)
    room = MOST_HEAD
    while True:
        # Of a text that is too long its begin is kept, of a stack its end.
        head = Json.dump({"message": text[:room // 2], "error_type": str(kind)[:200], "stacktrace": trace[-(room // 2):]})
        if len(head) <= MOST_HEAD:
            return head
        room //= 2


class Program:
    """The author's module, and how it is called."""

    def __init__(self, connection, entry):
        self.connection = connection
        self.running = {}
        module = author.load(entry)
        self.apply = getattr(module, "apply", None)
        if not callable(self.apply):
            raise AttributeError("%s has no function apply" % entry)
        self.wants_context = takes(self.apply, 2, "context")
        self.state = None
        load = getattr(module, "load", None)
        if callable(load) and getattr(load, "__module__", None) == module.__name__:
            self.state = load(models()) if takes(load, 1, "models") else load()

    def call(self, frame):
        _, content, number, head, data = frame
        try:
            value = decode(content, data)
            if self.wants_context:
                context = self.running[number] = Context(head, self.state)
                result = self.apply(value, context)
            else:
                result = self.apply(value)
            if hasattr(result, "__await__"):
                result = wait(result)
            if hasattr(result, "__next__"):
                content, data, head = self.stream(number, result)
            else:
                (content, data), head = encode(result), b""
            flush()
            self.connection.send(RESULT, number, content, data, head)
        except SystemExit:
            raise
        except BaseException as error:
            flush()
            self.connection.send(ERROR, number, head=failure(error))
        finally:
            if self.wants_context:
                self.running.pop(number, None)

    def stream(self, number, parts):
        """Sends each part as it comes; gives what the result says."""
        kind = None
        for part in parts:
            content, data = encode(part)
            if kind is None:
                kind = content
            if content != kind:
                raise TypeError("apply yields parts of several types: text, bytes, or else JSON")
            if content == JSON:  # a line each
                content, data = TEXT, data + b"\n"
            self.connection.send(CHUNK, number, content, data)
        if kind == JSON:
            return TEXT, b"", b'{"media_type":"application/x-ndjson"}'
        return (TEXT if kind is None else kind), b"", b""

    def cancel(self, number):
        context = self.running.get(number)
        if context is not None:
            context.cancelled = True


def takes(function, count, name):
    """Whether a function wants a value as its count-th argument: it cannot be
    called without, or calls it so. One with a default of its own is left to it."""
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__") or hasattr(function, "__self__"):
        import inspect

        try:
            listed = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            return False
        listed = [p for p in listed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        names, needed = [p.name for p in listed], sum(p.default is p.empty for p in listed)
    else:
        names = code.co_varnames[:code.co_argcount]
        needed = code.co_argcount - len(function.__defaults__ or ())
    return needed >= count or names[count - 1:count] in ([name], (name,))


def models():
    """The files that code.models names: name to path."""
    folder = os.environ.get("STOA_MODELS")
    if not folder or not os.path.isdir(folder):
        return {}
    return {name: os.path.join(folder, name) for name in sorted(os.listdir(folder))}


def wait(awaitable):
    """Runs an async def apply to its end."""
    import asyncio

    async def whole():
        return await awaitable

    return asyncio.run(whole())


def serve(connection, program, _):
    """One call at a time, in this thread."""
    while True:
        frame = connection.read()
        if frame is None or frame[0] == STOP:
            return
        if frame[0] == CALL:
            program.call(frame)
        elif frame[0] != CANCEL:  # what is given up here was answered already
            raise SystemExit("stoa: a frame of type %d" % frame[0])


def main(entry):
    connection = Connection(os.environ["STOA_SOCKET"])
    concurrency = int(os.environ.get("STOA_CONCURRENCY") or 1)
    if concurrency > 1:
        from stoa_threads import serve as work
    else:
        work = serve
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        program = Program(connection, entry)
    except SystemExit:
        raise
    except BaseException as error:
        flush()
        connection.send(ERROR, 0, head=failure(error, loading=True))
        return 1
    flush()
    connection.send(READY, 0, head=b'{"protocol":1,"name":"python %d.%d"}' % sys.version_info[:2])
    work(connection, program, concurrency)
    flush()
    return 0
