import os
import nosuchmodule


def apply(input):
    return input
