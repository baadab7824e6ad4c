"""The exception that every check raises."""

KINDS = ("hang", "leak", "loss", "status", "panic", "other")


class Failure(Exception):
    """The program did not do what it promises. `kind` is what chaos counts it under."""

    def __init__(self, text: str, kind: str = "other"):
        if kind not in KINDS:
            raise ValueError(f"no such kind of failure: {kind}")
        super().__init__(text)
        self.kind = kind
