"""Tells of where it lives."""
import os
import time
import urllib.request

count = 0
VERSION = "one"


def apply(input):
    global count
    count += 1
    word, _, rest = input.partition(" ")
    if word == "env":
        return os.environ.get(rest, "(not there)")
    if word == "count":
        return count
    if word == "model":
        with open(os.path.join(os.environ["STOA_MODELS"], rest), "rb") as f:
            return len(f.read())
    if word == "get":
        with urllib.request.urlopen(rest, timeout=10) as answer:
            return answer.read().decode()
    if word == "fetch":  # by the proxy, whatever the address
        proxy = urllib.request.build_opener(urllib.request.ProxyHandler({"http": os.environ["HTTP_PROXY"]}))
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ""
        with proxy.open(rest, timeout=10) as answer:
            return answer.read().decode()
    if word == "sleep":
        time.sleep(float(rest))
    return VERSION
