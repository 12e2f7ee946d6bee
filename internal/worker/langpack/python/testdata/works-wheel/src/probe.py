import os

import greet


def apply(input):
    if input == "compiled":
        return os.path.dirname(greet.__cached__).endswith("__pycache__") and os.path.exists(greet.__cached__)
    return greet.greet(input)
