import Algorithmia

client = Algorithmia.client()  # address and key are those that every replica finds


def apply(input):
    return client.algo(input).pipe({"wait": 0}).result["path"]
