"""``miroir topics`` on a running stack."""

from tests.miroir.local_stack import LocalStack


def test_topics_plan_names_own_and_planned_topics(local_stack: LocalStack) -> None:
    """The plan has miroir's own topics, those of its indexes, and those asked for."""
    names = {each["name"] for each in local_stack.run("topics", "plan", "--index", "to-come", "--json").json}

    assert {"miroir.cluster", "miroir.requests", "miroir.docs.to-come"} <= names
