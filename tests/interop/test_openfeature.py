"""
The hook, with OpenFeature's own SDK and its provider in memory.
"""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from recording import make_call

import modeltrail
from modeltrail.context import current_tags
from modeltrail.experiment.assign import Experiment
from modeltrail.interop.openfeature import ExperimentHook
from modeltrail.trail import Trail

VARIANTS = {"control": "gpt-4o", "mini": "gpt-4o-mini"}
PLAN = Experiment("cheaper-model", {"control": 0.5, "mini": 0.5})


def split(flag: InMemoryFlag[str], context: EvaluationContext) -> FlagResolutionDetails[str]:
    """
    Resolve a flag as a provider of experiments does.
    """
    variant = PLAN.assign(context.targeting_key or "").variant
    if variant is None:
        return FlagResolutionDetails("gpt-4o", reason=Reason.DEFAULT, variant="control")
    return FlagResolutionDetails(flag.variants[variant], reason=Reason.SPLIT, variant=variant)


def closed(flag: InMemoryFlag[str], context: EvaluationContext) -> FlagResolutionDetails[str]:
    """
    Enroll nobody.
    """
    del flag, context
    return FlagResolutionDetails("gpt-4o", reason=Reason.DEFAULT, variant="control")


def fails(flag: InMemoryFlag[str], context: EvaluationContext) -> FlagResolutionDetails[str]:
    """
    Resolve no flag.
    """
    del flag, context
    return FlagResolutionDetails("", reason=Reason.ERROR, error_code=ErrorCode.GENERAL)


@pytest.fixture
def client() -> Iterator[OpenFeatureClient]:
    """
    Make a client with the hook, whose provider knows an experiment and two other flags.
    """
    flags = {
        "cheaper-model": InMemoryFlag("control", VARIANTS, context_evaluator=split),
        "dark-mode": InMemoryFlag("control", VARIANTS),
        "closed": InMemoryFlag("control", VARIANTS, context_evaluator=closed),
        "broken": InMemoryFlag("control", VARIANTS, context_evaluator=fails),
    }
    api.set_provider(InMemoryProvider(flags))
    made = api.get_client()
    made.add_hooks([ExperimentHook(["cheaper-model", "closed", "broken"])])
    with modeltrail.tag():
        yield made
    api.clear_providers()


def test_a_call_has_what_the_flag_gave(client: OpenFeatureClient, trail: Trail) -> None:
    """
    Flag, variant and targeting key are on the record, the unit as its reference.
    """
    value = client.get_string_value("cheaper-model", "", EvaluationContext("u-1"))
    make_call(trail.recorder)
    assert trail.flush(5)
    (record,) = [each.record for each in trail.store.calls()]
    assert (record.experiment, VARIANTS[record.variant or ""]) == ("cheaper-model", value)
    assert (record.unit_type, record.unit_ref) == ("user", trail.recorder.ref("u-1"))
    assert (record.propensity_ppm, record.phase) == (None, None)
    assert trail.health().problems == {}


async def test_an_awaited_flag_is_bound_too(client: OpenFeatureClient) -> None:
    """
    The asynchronous evaluation binds in the task that awaits it.
    """
    value = await client.get_string_value_async("cheaper-model", "", EvaluationContext("u-1"))
    assert VARIANTS[current_tags()["variant"]] == value


def test_other_flags_are_no_experiments(client: OpenFeatureClient) -> None:
    """
    A flag that is not named binds nothing.
    """
    assert client.get_string_value("dark-mode", "", EvaluationContext("u-1")) == "gpt-4o"
    assert "experiment" not in current_tags()


def test_whom_the_experiment_does_not_concern(client: OpenFeatureClient) -> None:
    """
    A default is no variant, and ends what an earlier evaluation bound.
    """
    client.get_string_value("cheaper-model", "", EvaluationContext("u-1"))
    assert current_tags()["experiment"] == "cheaper-model"
    assert client.get_string_value("cheaper-model", "", EvaluationContext("")) == "gpt-4o"
    tags = current_tags()
    assert (tags["experiment"], tags["variant"], tags["unit"]) == (None, None, None)


def test_whom_it_does_not_concern_stays_in_another_experiment(client: OpenFeatureClient) -> None:
    """
    A flag in which a unit takes no part takes nothing from the experiment that it is in.
    """
    client.get_string_value("cheaper-model", "", EvaluationContext("u-1"))
    before = current_tags()
    assert client.get_string_value("closed", "", EvaluationContext("u-1")) == "gpt-4o"
    assert (current_tags(), before["experiment"]) == (before, "cheaper-model")
    client.get_string_value("closed", "", EvaluationContext("u-2"))
    assert current_tags()["experiment"] is None


def test_a_flag_that_cannot_be_resolved_binds_no_variant(client: OpenFeatureClient) -> None:
    """
    The application goes on with its own default, and the call is in no experiment.
    """
    assert client.get_string_value("broken", "mine", EvaluationContext("u-1")) == "mine"
    assert current_tags().get("experiment") is None


def test_an_own_propensity_does_not_stay(client: OpenFeatureClient) -> None:
    """
    What another assignment bound before is not mixed with the flag's.
    """
    with modeltrail.tag(propensity_ppm=500_000, phase="old"):
        client.get_string_value("cheaper-model", "", EvaluationContext("u-1"))
        tags = current_tags()
    assert (tags["experiment"], tags["propensity_ppm"], tags["phase"]) == (
        "cheaper-model",
        None,
        None,
    )


def test_the_core_does_without_openfeature() -> None:
    """
    Whoever opens a trail or runs the command line does not load OpenFeature.
    """
    code = (
        "import sys, modeltrail.trail, modeltrail.cli.app;"
        "assert not [each for each in sys.modules if each.split('.')[0] == 'openfeature']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
