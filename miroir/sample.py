"""How much of every shard a verification looks at, as it is typed.

Who calls it: ``miroir verify``. It must not know: which documents that are (``agents/shard_sample.py``).
"""

from agents.shard_sample import Sample


def parse_sample(text: str, *, seed: int) -> Sample:
    """Return what ``100``, ``0.01`` or ``1%`` asks for.

    Raises:
        ValueError: it is none of these.
    """
    problem = f"expected a number of documents (100) or a share of them (0.01 or 1%), found {text!r}"
    try:
        if text.isascii() and text.isdigit():
            if int(text) > 0:
                return Sample(documents=int(text), seed=seed)
        elif text.isascii():
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
            if 0 < share <= 1:
                return Sample(share=share, seed=seed)
    except ValueError:
        raise ValueError(problem) from None
    raise ValueError(problem)
