"""
A Router's deployment is the arm that a unit was given.
"""

from typing import Any

import litellm
import pytest
from modeltrail_litellm import deployment_for

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.assign import assign
from modeltrail.testing import CapturedTrail, Fault, LocalProvider
from tests.integrations.litellm.asking import deployment, records

ARMS = {"A": 0.5, "B": 0.5}
QUESTION = [{"role": "user", "content": "How many legs has a spider?"}]


def router(provider: LocalProvider, *arms: tuple[str, str], **options: Any) -> litellm.Router:
    """Make a Router of deployments that are (id, variant)."""
    models = [deployment(provider, "chat", id, variant=variant) for id, variant in arms]
    return litellm.Router(model_list=models, num_retries=0, **options)


def test_unit_is_always_served_by_its_arm(captured: CapturedTrail, provider: LocalProvider) -> None:
    """Every call of a user reaches the deployment of the user's variant, and is recorded so."""
    two = router(provider, ("a", "A"), ("b", "B"))
    wanted = []
    for user in [f"u-{number}" for number in range(12)] * 2:
        assignment = assign("trial", user, ARMS)
        model = deployment_for(two, "chat", assignment)
        two.completion(model=model, messages=QUESTION, user=user)
        wanted.append((captured.recorder.ref(user), assignment.variant))
    found = [(each.user_ref, each.variant) for each in records(captured)]
    assert sorted(map(str, found)) == sorted(map(str, wanted))
    assert {(each.variant, each.deployment) for each in captured.records} == {
        ("A", "a"),
        ("B", "b"),
    }
    assert provider.count() == 24


def test_deployments_of_one_arm_share_its_units(provider: LocalProvider) -> None:
    """Several deployments of an arm each serve some of its units, and each unit always the same."""
    three = router(provider, ("a1", "A"), ("a2", "A"), ("b", "B"))
    units = [assign("trial", f"u-{number}", ARMS) for number in range(200)]
    first = [deployment_for(three, "chat", each) for each in units]
    assert first == [deployment_for(three, "chat", each) for each in units]
    of_a = [id for id, each in zip(first, units, strict=True) if each.variant == "A"]
    assert set(of_a) == {"a1", "a2"}
    assert 0.3 < of_a.count("a1") / len(of_a) < 0.7
    assert set(first) - set(of_a) == {"b"}


def test_unit_that_is_not_enrolled_is_served_as_before(provider: LocalProvider) -> None:
    """Outside of the coverage the Router draws as it does without an experiment."""
    outside = assign("trial", "u-1", ARMS, coverage=0.0)
    assert deployment_for(router(provider, ("a", "A")), "chat", outside) == "chat"


@pytest.mark.parametrize("group", ["chat", "nobody-knows-it"])
def test_arm_without_a_deployment_is_refused(provider: LocalProvider, group: str) -> None:
    """An arm that nobody serves is an error at once, which names those that there are."""
    assignment = assign("trial", "u-1", {"C": 1.0, "A": 0.0})
    there = "there are: A, B" if group == "chat" else "there are: none"
    with pytest.raises(ConfigurationError, match=f"'C' in its model_info; {there}"):
        deployment_for(router(provider, ("a", "A"), ("b", "B")), group, assignment)


def test_fallback_of_a_pinned_deployment(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A fallback is named by the deployment's id; the record keeps who served."""
    two = router(provider, ("a", "A"), ("b", "B"), fallbacks=[{"a": ["b"]}])
    provider.script(Fault(500))
    model = deployment_for(two, "chat", assign("trial", "u-1", {"A": 1.0, "B": 0.0}))
    two.completion(model=model, messages=QUESTION)
    found = [(each.deployment, each.status, each.is_fallback) for each in records(captured)]
    assert found == [("a", "error", False), ("b", "ok", True)]


class OlderRouter:
    """
    A Router as LiteLLM 1.106 has it, with a list in place of a registry.
    """

    def __init__(self, deployments: list[dict[str, Any]]) -> None:
        self.deployments = deployments

    def get_model_list(self, model_name: str) -> list[dict[str, Any]] | None:
        return [each for each in self.deployments if each["model_name"] == model_name] or None


def test_older_routers_are_asked_for_their_list() -> None:
    """Where a Router has no registry its list says the same."""
    infos = ({"id": "a", "variant": "A"}, {"id": "b", "variant": "B"})
    older: Any = OlderRouter([{"model_name": "chat", "model_info": info} for info in infos])
    assert deployment_for(older, "chat", assign("trial", "u-1", {"A": 1.0, "B": 0.0})) == "a"
    with pytest.raises(ConfigurationError, match="there are: none"):
        deployment_for(older, "draw", assign("trial", "u-1", {"A": 1.0, "B": 0.0}))
