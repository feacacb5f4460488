"""
Assignments that an OpenFeature provider makes, for the extra `modeltrail[openfeature]`.

Whoever assigns variants by feature flags keeps doing so: a hook binds what a
flag's evaluation gave to the calls that follow, as `assign` does of an
experiment of ours (https://openfeature.dev/specification/sections/hooks).
"""

from collections.abc import Collection

from openfeature.flag_evaluation import FlagEvaluationDetails, FlagValueType, Reason
from openfeature.hook import Hook, HookContext, HookHints

from modeltrail import context

# With these a flag gives what it gives to those whom no experiment concerns.
NOT_ENROLLED = frozenset({Reason.DEFAULT, Reason.DISABLED, Reason.ERROR})


class ExperimentHook(Hook):
    """
    Tag the calls that follow with the variant that a flag was resolved to.

    The flag's key is the experiment, the targeting key is the unit. OpenFeature
    does not say how probable a variant was, so that there is no propensity.
    Without a targeting key experiment and variant are recorded with no unit,
    and no analysis counts them.

    Example:
        client = api.get_client()
        client.add_hooks([ExperimentHook(["cheaper-model"])])

    Args:
        flags: The keys of the flags that are experiments; an application has
            many that are none.
        unit_type: What the targeting key names: `user`, `session` or `call`.
    """

    def __init__(self, flags: Collection[str], *, unit_type: str = "user") -> None:
        self._flags = frozenset(flags)
        self._unit_type = unit_type

    def after(
        self,
        hook_context: HookContext,
        details: FlagEvaluationDetails[FlagValueType],
        hints: HookHints,  # noqa: ARG002
    ) -> None:
        """
        Bind what a flag was resolved to; called by OpenFeature.
        """
        if details.flag_key not in self._flags:
            return
        variant = None if details.reason in NOT_ENROLLED else details.variant
        context.bind_assignment(
            experiment=details.flag_key,
            variant=variant,
            unit=hook_context.evaluation_context.targeting_key or None,
            unit_type=self._unit_type,
        )
