"""What a verification has found wrong, in words, and what to do about it.

What always holds: a pure function of the report; a fault that making the copy anew would not cure gets no such advice.
Who calls it: ``miroir verify``. It must not know: how documents are compared.
"""

from collections.abc import Iterator

from miroir.comparison import Comparison, FaultyIds
from miroir.verify import VerifyReport


def fault_lines(report: VerifyReport) -> Iterator[str]:
    """Yield a line for each fault, and behind them one for each node that is to be made anew."""
    for each in report.replicas:
        if not each.equal:
            yield f"{each.index} shard {each.shard} on {each.node}: {each.error or _describe(each.comparison)}"
    for stray in report.strays:
        text = stray.error or f"{_documents(stray.documents)} of no shard placed there"
        yield f"{stray.index} on {stray.node}: {text}"
    replicas = {each.node for each in report.replicas if not each.comparison.equal and not each.error}
    wrong = replicas | {stray.node for stray in report.strays if not stray.error}
    # One after the other: made anew at once, no copy could be read meanwhile.
    for number, node in enumerate(sorted(wrong)):
        yield f"{'then' if number else 'what to do'}: `miroir node rebuild {node}` makes its copies anew from the log"


def _describe(found: Comparison) -> str:
    kinds = {
        "of the log missing": found.missing,
        "not in the log": found.extra,
        "not what the log says": found.different,
    }
    return "; ".join(f"{_documents(ids.count)} {kind}: {_named(ids)}" for kind, ids in kinds.items() if ids.count)


def _documents(count: int) -> str:
    return f"{count:,} document{'s' * (count != 1)}"


def _named(ids: FaultyIds) -> str:
    return ", ".join(ids.examples) + " …" * (ids.count > len(ids.examples))
