from src.__NAME__ import apply


def test_apply():
    assert apply("World") == "hello World"
