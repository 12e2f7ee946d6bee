"""The first of a chain: calls the second, and says what came back."""
import json
import os
import urllib.request


def call(name, value):
    request = urllib.request.Request(
        os.environ["ALGORITHMIA_API"] + "/v1/algo/" + name, json.dumps(value).encode(),
        {"Content-Type": "application/json", "Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"]})
    with urllib.request.urlopen(request) as answer:
        return answer.headers["X-Request-Id"], json.load(answer)


def apply(input):
    print("python has", input)
    child, body = call(input.get("next", "admin/chain_js"), input)
    if "error" in body:
        raise RuntimeError(body["error"]["error_type"] + ": " + body["error"]["message"])
    body["result"]["path"] = "python > " + body["result"]["path"]
    body["result"]["ids"].append(child)
    return body["result"]
