"""
Variants on a Router: the arm that a user was given is the deployment that serves them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from litellm.router import Router

from modeltrail.errors import ConfigurationError
from modeltrail.integration import Assignment

BUCKETS = 10_000


class Registry(Protocol):
    """
    A Router's deployments.
    """

    def deployments(self, model_name: str) -> Iterable[Mapping[str, Any]] | None:
        """
        Return those of a group.
        """


@runtime_checkable
class HasRegistry(Protocol):
    """
    A Router of a newer LiteLLM (1.110 at the latest), which deprecates the list that it had before.
    """

    def registry(self) -> Registry:
        """
        Return its deployments.
        """


def deployment_for(router: Router, model_group: str, assignment: Assignment) -> str:
    """
    Return what to call a Router with, so that a unit is served by the arm that it was given.

    A Router's weights draw a deployment for each request: a user would meet
    all of them, and calls of one user would not be independent. Here the
    unit decides. The arm of a deployment is the `variant` in its `model_info`;
    of several deployments of one arm a unit always gets the same.

    Example:
        assignment = experiment.assign("u-17")
        router.completion(model=deployment_for(router, "chat", assignment), messages=messages)

    Args:
        model_group: The `model_name` that the deployments share.
        assignment: What the unit was given. One that is not enrolled is
            served as without an experiment.

    Returns:
        The id of a deployment, which a Router takes for a model; the group
        itself for a unit that is not enrolled. Fallbacks of a pinned
        deployment are named by its id.

    Raises:
        ConfigurationError: No deployment of the group is of that arm.
    """
    if assignment.variant is None:
        return model_group
    infos = [each.get("model_info") or {} for each in _deployments(router, model_group)]
    ids = sorted(str(each["id"]) for each in infos if each.get("variant") == assignment.variant)
    if not ids:
        known = sorted({str(variant) for each in infos if (variant := each.get("variant"))})
        raise ConfigurationError(
            f"no deployment of {model_group!r} has the variant {assignment.variant!r} "
            f"in its model_info; there are: {', '.join(known) or 'none'}"
        )
    return ids[round(assignment.bucket * BUCKETS) % len(ids)]


def _deployments(router: Router, model_group: str) -> Iterable[Mapping[str, Any]]:
    if isinstance(router, HasRegistry):
        return router.registry().deployments(model_group) or ()
    return router.get_model_list(model_name=model_group) or ()
