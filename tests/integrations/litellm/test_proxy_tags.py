"""
Where tags of LiteLLM's calls may stand, without the proxy.
"""

from typing import Any

import pytest
from modeltrail_litellm.tags import call_tags, default_tags, metadata_of


def tags_of(params: dict[str, Any], **details: Any) -> dict[str, Any]:
    """Return what is read of a call's parameters."""
    return call_tags({"litellm_params": params, **details}, metadata_of(params))


# Each place, the weakest first, with what it must hold to say so.
PLACES: dict[str, dict[str, Any]] = {
    "header": {"proxy_server_request": {"headers": {"x-modeltrail-feature": "header"}}},
    "spend-logs": {"metadata": {"spend_logs_metadata": {"feature": "spend-logs"}}},
    "body": {"metadata": {"requester_metadata": {"feature": "body"}}},
    "litellm_metadata": {"litellm_metadata": {"feature": "litellm_metadata"}},
    "metadata": {"metadata": {"modeltrail_feature": "metadata"}},
}


@pytest.mark.parametrize("count", range(1, len(PLACES) + 1))
def test_30_each_place_wins_over_the_one_before(count: int) -> None:
    """Of several places the strongest is read, whether its key has the prefix or not."""
    params: dict[str, Any] = {"metadata": {}}
    for given in list(PLACES.values())[:count]:
        for name, told in given.items():
            params[name] = {**params.get(name, {}), **told}
    assert tags_of(params) == {"feature": list(PLACES)[count - 1]}


def test_30_headers_may_name_any_tag() -> None:
    """A header stands for the tag of its name; other headers and credentials are not looked at."""
    headers = {"x-modeltrail-cost-center": "7", "x-own": "x", "authorization": "Bearer x"}
    assert tags_of({"proxy_server_request": {"headers": headers}}) == {"cost_center": "7"}


def test_30_users() -> None:
    """A tag goes before the proxy's end user, and that before the user of the body."""
    body = {"user": "body"}
    proxied = {"user_api_key_end_user_id": "header"}
    assert tags_of({}, **body) == {"user": "body"}
    assert tags_of({"metadata": proxied}, **body) == {"user": "header"}
    assert tags_of({"metadata": {**proxied, "user_id": "tag"}}, **body) == {"user": "tag"}


def test_30_identity() -> None:
    """The team is called by its alias if it has one; hash and owner of a key are no tags."""
    told = {
        "user_api_key_hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
        "user_api_key_user_id": "owner",
        "user_api_key_team_id": "t-1",
        "user_api_key_team_alias": None,
        "modeltrail_team": "claimed",
    }
    assert tags_of({"metadata": told}) == {"team": "t-1"}
    assert tags_of({"metadata": {**told, "user_api_key_team_alias": "berlin"}}) == {
        "team": "berlin"
    }


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"litellm_session_id": "s", "litellm_trace_id": "s"}, {"session": "s"}),
        ({"litellm_session_id": "s", "proxy_server_request": {"url": "x"}}, {"session": "s"}),
        (
            {
                "litellm_session_id": "s",
                "litellm_trace_id": "s",
                "proxy_server_request": {"url": "x"},
            },
            {},
        ),
    ],
    ids=["sdk", "proxy", "trace"],
)
def test_55_trace_of_a_proxy_is_no_session(
    params: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Where a request names no session the proxy fills in its trace."""
    assert tags_of(params) == expected


def test_31_tags_of_a_request() -> None:
    """Tags that name one of ours are one, the others stay together, and LiteLLM's own go."""
    told = ["feature: chat", "modeltrail_team:b", "a:b", "plain", "feature", "User-Agent: x", 7]
    assert default_tags({"tags": told}, {}) == {
        "feature": "chat",
        "team": "b",
        "request_tags": "a:b,plain,feature",
    }
    assert default_tags({"tags": "no list"}, {}) == {}


def test_30_variant_of_the_deployment_goes_before_tags() -> None:
    """What the operator says of a deployment is stronger than a plain tag."""
    told = default_tags({"tags": ["variant:x"], "model_group": "chat"}, {"variant": "A"})
    assert told == {"variant": "A", "model_group": "chat"}


def test_30_variant_that_growthbook_assigned_is_no_deployments() -> None:
    """What a unit was assigned is not replaced by the deployment that served it."""
    told = default_tags({"tags": ["gb.exp:key=1"]}, {"variant": "A"})
    assert (told["experiment"], told["variant"]) == ("key", "1")


@pytest.mark.parametrize("nonsense", ["text", 7, ["a"], True])
def test_nonsense_is_not_read(nonsense: object) -> None:
    """Whoever calls a proxy may send anything where an object is expected."""
    names = ("metadata", "litellm_metadata", "proxy_server_request")
    assert tags_of(dict.fromkeys(names, nonsense)) == {}
    inner = ("spend_logs_metadata", "requester_metadata")
    assert tags_of({"metadata": dict.fromkeys(inner, nonsense)}) == {}
