"""Why steps of the recorded conversation differ: the reasons that ``docs/http-api.md`` lists, each with its steps.

What always holds: a reason says how many steps differ by it at most, in the words of the document; a step has one
reason, the first that fits. Who calls it: the test of the recorded conversation. It must not know: how steps are
played.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.integration.conversation import Played

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "http-api.md"


class Reason(NamedTuple):
    """A reason.

    Attributes:
        words: of the document, with the number of steps in brackets.
        step: what the method and path of its steps look like.
        difference: what is found in the difference.
    """

    words: str
    step: str
    difference: str

    @property
    def steps_max(self) -> int:
        """How many steps differ by it at most."""
        found = re.search(r"\((\d+)\)$", self.words)
        assert found is not None, "a reason says how many steps it has"
        return int(found[1])


REASONS = (
    Reason("`PUT …/documents` (3)", r"PUT /indexes/\w+/documents", "status 501"),
    Reason("`POST …/documents/delete` (3)", r"POST /indexes/\w+/documents/delete", "status 501"),
    Reason("`skipCreation` (1)", r"POST /indexes/\w+/documents\?skipCreation=true", "status 501"),
    Reason("`/keys` (6)", r"\w+ /keys.*", "status 501"),
    Reason("searches with such a key (2)", r"POST /indexes/\w+/search", "invalid_api_key"),
    Reason("swaps (3)", r"POST /swap-indexes", "status 501"),
    Reason("what they show (1)", r"GET /indexes/\w+/stats", "body"),
    Reason("cancelling and deleting tasks (2)", r"(POST /tasks/cancel|DELETE /tasks)\?.*", "status 501"),
    Reason("batches (1)", r"GET /batches.*", "status 501"),
    Reason(
        "`deletedDocuments` in tasks (4)",
        r"(DELETE /indexes/\w+(/documents/\w+)?|POST /indexes/\w+/documents/delete-batch)",
        '"deletedDocuments": null',
    ),
    Reason("lists of tasks that show these or tasks by filter (4)", r"GET /tasks\?.*", "body"),
    Reason("estimated totals with `distinct` (1)", r"POST /indexes/\w+/search", '"estimatedTotalHits"'),
    Reason("index uids of at most 200 bytes (1)", r"POST /indexes", "can not be more than 200 bytes"),
)


def reason_of(played: Played) -> Reason | None:
    """Return why a step differs, None where no reason fits."""
    fitting = (
        each for each in REASONS if re.fullmatch(each.step, played.name) and each.difference in played.difference
    )
    return next(fitting, None)


def unexplained(differing: Sequence[Played]) -> list[str]:
    """Return the steps without a reason, reasons of more steps than they say, and those that the document has not."""
    reasons = {each: reason_of(each) for each in differing}
    counts = Counter(reason for reason in reasons.values() if reason is not None)
    document = DOCUMENT.read_text()
    return [
        *(f"{each.place} {each.name}: {each.difference}" for each, reason in reasons.items() if reason is None),
        *(f"{reason.words}: {count} steps" for reason, count in counts.items() if count > reason.steps_max),
        *(f"{reason.words}: not in {DOCUMENT.name}" for reason in REASONS if reason.words not in document),
    ]
