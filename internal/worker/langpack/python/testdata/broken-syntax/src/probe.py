import os

def apply(input)
    return input
