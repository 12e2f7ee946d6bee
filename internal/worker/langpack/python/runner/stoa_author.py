"""What both runners need: finding the author's module, and telling its errors."""
import builtins
import os
import sys

FOLDER = os.getcwd()
HERE = os.path.dirname(os.path.abspath(__file__))


def load(entry):
    """Imports the author's file, as src.hello where it is src/hello.py."""
    # The runner starts without site, which gives these two.
    builtins.exit = builtins.quit = sys.exit
    # The runner's own folder, which Python puts first, is nobody's.
    sys.path[:] = [FOLDER, os.path.join(FOLDER, "src")] + [p for p in sys.path if os.path.abspath(p or ".") != HERE]
    if not os.path.isfile(entry):
        raise FileNotFoundError("there is no %s: name the file that holds apply in code.entry of stoa.yaml" % entry)
    name = os.path.normpath(entry)
    name = name[:-3] if name.endswith(".py") else name
    parts = name.split(os.sep)
    if any("." in p for p in parts):
        return load_file(entry)
    __import__(".".join(parts))
    return sys.modules[".".join(parts)]


def load_file(entry):
    """Imports a file whose name no import statement could have."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("algorithm", entry)
    module = importlib.util.module_from_spec(spec)
    sys.modules["algorithm"] = module
    spec.loader.exec_module(module)
    return module


def ours(filename):
    return filename.startswith("<frozen importlib") or os.path.dirname(os.path.abspath(filename)) == HERE


def stack(error):
    """The traceback, without the frames of the runner."""
    import traceback

    whole = traceback.TracebackException(type(error), error, error.__traceback__)
    seen, todo = set(), [whole]
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack[:] = [f for f in part.stack if not ours(f.filename)]
        todo += [part.__cause__, part.__context__]
    return "".join(whole.format())


def place(error):
    """Where it happened, as src/hello.py:3, or nothing."""
    at = None
    if isinstance(error, SyntaxError) and error.filename:
        at = (error.filename, error.lineno)
    else:
        tb = error.__traceback__
        while tb is not None:
            name = tb.tb_frame.f_code.co_filename
            if not ours(name) and os.path.abspath(name).startswith(FOLDER + os.sep):
                at = (name, tb.tb_lineno)
            tb = tb.tb_next
    if at is None:
        return ""
    return "%s:%s: " % (os.path.relpath(at[0], FOLDER), at[1])


def message(error):
    if isinstance(error, SyntaxError):
        return str(error.msg)
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__
