"""
The variant that a unit was ASSIGNED is recorded, whatever became of its call.
"""

import pytest
from langchain_core.caches import InMemoryCache
from modeltrail_langchain import TrailCallbackHandler

import modeltrail
from modeltrail.experiment.assign import Assignment, Experiment
from modeltrail.record import CallRecord
from modeltrail.storage import Filters
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from modeltrail.trail import Trail
from tests.integrations.langchain.clients import anthropic_model, openai_model

ARMS = {"control": 0.5, "mini": 0.5}


@pytest.fixture
def experiment(trail: Trail) -> Experiment:
    """
    Declare an experiment of two models.
    """
    return trail.experiment("cheaper-model", ARMS)


def stored(trail: Trail) -> list[CallRecord]:
    """
    Return the calls of the experiment, as they were stored.
    """
    assert trail.flush(5)
    filters = Filters(experiment="cheaper-model")
    return [each.record for each in trail.store.calls(filters, newest_first=False)]


def check(record: CallRecord, trail: Trail, assigned: Assignment, experiment: Experiment) -> None:
    """
    Check that a record names the whole assignment, and no person.
    """
    assert (record.experiment, record.variant) == ("cheaper-model", assigned.variant)
    assert (record.propensity_ppm, record.phase) == (500_000, experiment.phase)
    assert (record.unit_type, record.unit_ref) == ("user", trail.recorder.ref(assigned.unit))


def test_a_call_that_fails(trail: Trail, experiment: Experiment, provider: LocalProvider) -> None:
    """
    An error counts for the variant that the unit was assigned.
    """
    provider.script(Fault(status=500))
    model = openai_model(provider, callbacks=[TrailCallbackHandler(trail)])
    with modeltrail.tag(feature="f"):
        assigned = experiment.assign("u-1")
        with pytest.raises(Exception, match="500"):
            model.invoke("hi")
    (record,) = stored(trail)
    assert (record.status, record.response_model) == ("error", None)
    check(record, trail, assigned, experiment)


def test_a_call_that_is_served_from_a_cache(
    trail: Trail, experiment: Experiment, provider: LocalProvider
) -> None:
    """
    A hit belongs to the unit that asked, not to the one whose call was paid.
    """
    cached = openai_model(provider, cache=InMemoryCache(), callbacks=[TrailCallbackHandler(trail)])
    plan = Experiment("cheaper-model", ARMS)
    arms = {plan.assign(f"u-{number}").variant: f"u-{number}" for number in range(20)}
    for unit in (arms["control"], arms["mini"]):
        with modeltrail.tag(feature="f"):
            experiment.assign(unit)
            cached.invoke("hi")
    paid, hit = stored(trail)
    assert (paid.cache_hit, hit.cache_hit, hit.origin_id) == (None, True, paid.id)
    assert (paid.variant, hit.variant) == ("control", "mini")
    check(hit, trail, plan.assign(arms["mini"]), experiment)
    assert provider.count() == 1


def test_a_call_that_a_fallback_serves(
    trail: Trail, experiment: Experiment, provider: LocalProvider
) -> None:
    """
    Both attempts have the assigned variant, and beside it the model that served each.
    """
    provider.script(Fault(status=500), Answer(model="claude-sonnet-4-5"))
    handler = TrailCallbackHandler(trail)
    asked = openai_model(provider, callbacks=[handler])
    model = asked.with_fallbacks([anthropic_model(provider, callbacks=[handler])])
    with modeltrail.tag(feature="f"):
        assigned = experiment.assign("u-1")
        model.invoke("hi")
    failed, served = stored(trail)
    assert (failed.status, failed.request_model, failed.response_model) == (
        "error",
        "gpt-4o-mini",
        None,
    )
    assert (served.status, served.response_model) == ("ok", "claude-sonnet-4-5")
    for record in (failed, served):
        check(record, trail, assigned, experiment)


def test_an_assignment_that_growthbook_made(
    captured: CapturedTrail, handler: TrailCallbackHandler, provider: LocalProvider
) -> None:
    """
    GrowthBook's tag among those of a chain says experiment and variant.
    """
    model = openai_model(provider, callbacks=[handler])
    model.invoke("hi", {"tags": ["urgent", "gb.exp:prompt-length=short"]})
    (record,) = captured.records
    assert (record.experiment, record.variant) == ("prompt-length", "short")


def test_our_own_assignment_wins_over_a_tag_of_growthbooks(
    captured: CapturedTrail, handler: TrailCallbackHandler, provider: LocalProvider
) -> None:
    """
    An assignment is recorded as a whole: nothing of another one is mixed in.
    """
    model = openai_model(provider, callbacks=[handler])
    with modeltrail.tag(experiment="ours", variant="control"):
        model.invoke("hi", {"tags": ["gb.exp:theirs=1"]})
    (record,) = captured.records
    assert (record.experiment, record.variant) == ("ours", "control")
