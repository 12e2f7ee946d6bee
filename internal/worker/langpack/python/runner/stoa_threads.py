"""Several calls at once: a thread for each, and logs that know whose they are."""
import os
import sys
import threading
from queue import SimpleQueue

CALL, LOG, CANCEL, STOP = 16, 5, 17, 18
KEEP = 64 << 10  # of a line without an end, before it is sent as it is


class Stream:
    """Takes the place of sys.stdout or sys.stderr: what a call prints is sent as
    its log, all else goes where it went."""

    def __init__(self, connection, under, code, local):
        self._connection, self._under, self._code, self._local = connection, under, code, local

    def write(self, text):
        number = getattr(self._local, "number", None)
        if number is None:
            return self._under.write(text)
        parts = self._local.parts[self._code]
        parts.append(text)
        self._local.size[self._code] += len(text)
        if "\n" in text or self._local.size[self._code] > KEEP:
            self.flush()
        return len(text)

    def flush(self):
        if getattr(self._local, "number", None) is None:
            return self._under.flush()
        parts = self._local.parts[self._code]
        if parts:
            data = "".join(parts).encode("utf-8", "backslashreplace")
            del parts[:]
            self._local.size[self._code] = 0
            self._connection.send(LOG, self._local.number, self._code, data)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._under, name)


def serve(connection, program, concurrency):
    local, queue, threads = threading.local(), SimpleQueue(), []
    sys.stdout = Stream(connection, sys.stdout, 1, local)
    sys.stderr = Stream(connection, sys.stderr, 2, local)
    idle = threading.Semaphore(0)

    def work():
        while True:
            frame = queue.get()
            if frame is None:
                return
            local.number, local.parts, local.size = frame[2], {1: [], 2: []}, {1: 0, 2: 0}
            try:
                program.call(frame)
            except SystemExit as end:
                leave(end.code)
            local.number = None
            idle.release()

    while True:
        frame = connection.read()
        if frame is None:
            os._exit(0)
        if frame[0] == STOP:
            break
        if frame[0] == CANCEL:
            program.cancel(frame[2])
        elif frame[0] == CALL:
            if not idle.acquire(blocking=False) and len(threads) < concurrency:
                threads.append(threading.Thread(target=work, daemon=True))
                threads[-1].start()
            queue.put(frame)
        else:
            raise SystemExit("stoa: a frame of type %d" % frame[0])
    for _ in threads:
        queue.put(None)
    for t in threads:
        t.join()


def leave(code):
    """Ends the process as sys.exit does, which in a thread ends the thread only."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (ValueError, OSError):
            pass
    os._exit(code or 0)
