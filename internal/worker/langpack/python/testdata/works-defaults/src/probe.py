"""Parameters with defaults are the author's own."""
import functools


def load(path="a path", *more):
    return path


def decorated(f):
    @functools.wraps(f)
    def inner(*args, **named):
        return f(*args, **named)

    return inner


@decorated
def apply(input, threshold=0.5, context=None):
    return [input, threshold, context]
