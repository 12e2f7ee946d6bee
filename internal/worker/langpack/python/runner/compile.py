"""Compiles the Python files of a folder once, so that no replica has to.

    compile.py FOLDER [ENTRY]

Only a mistake in ENTRY is a failure: a folder may hold files that are no
Python of this version and are never imported. Compiled files are of the form
that is not compared with its source, which has no times in it.
"""
import os
import py_compile
import sys
import warnings


def place(folder, path, error):
    cause = error.exc_value
    line = getattr(cause, "lineno", None)
    at = os.path.relpath(path, folder) + (":%d" % line if line else "")
    return "%s: %s: %s" % (at, type(cause).__name__, getattr(cause, "msg", None) or cause)


def main(folder, entry=None):
    failed = False
    if entry is None:  # what warns in the packages of others is no author's concern
        warnings.simplefilter("ignore")
    for base, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if not name.endswith(".py"):
                continue
            path = os.path.join(base, name)
            try:
                # The name in the compiled file is not that of a folder of this build, which
                # would make each of them another; an import puts the right one in.
                py_compile.compile(path, doraise=True, dfile=os.path.relpath(path, folder),
                                   invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
            except py_compile.PyCompileError as error:
                if entry is None:
                    continue
                print(place(folder, path, error))
                failed = failed or os.path.relpath(path, folder) == os.path.normpath(entry)
            except (OSError, ValueError, RecursionError) as error:
                print("%s is not compiled: %s" % (os.path.relpath(path, folder), error))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
