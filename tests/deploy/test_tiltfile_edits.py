"""Careless edits of the Tiltfile: each is refused, by Tilt or by a rule."""

from collections.abc import Iterator

import pytest
import starlark

from tests.deploy import tilt_rules, tilt_ways
from tests.deploy.tilt_rules import ORDER, Check
from tests.deploy.tilt_ways import KEYS, WAYS
from tests.deploy.tiltfile import TILTFILE, evaluate

WORSE: list[tuple[Check, str, str]] = [
    (tilt_rules.dependencies_are_there, "'components', 'valkey'", "'component', 'valkey'"),
    (
        tilt_rules.dependencies_are_there,
        "resource='agent-actors', text='Doc",
        "resource='agents', text='Doc",
    ),
    (
        tilt_rules.the_service_comes_last,
        "['dapr', 'components', 'valkey', 'settings']",
        "['components', 'settings']",
    ),
    (
        tilt_rules.components_come_after_their_kinds,
        "resource_deps=['namespace', 'dapr'],",
        "resource_deps=['namespace'],",
    ),
    (
        tilt_rules.components_come_after_their_kinds,
        "startswith('dapr.io/')",
        "startswith('dapr.io/v1')",
    ),
    (
        tilt_rules.components_come_after_their_kinds,
        "objects=named(is_setting), resource_deps=['namespace']",
        "objects=named(is_setting), resource_deps=['components']",
    ),
    (
        tilt_rules.every_object_is_of_one_resource,
        "return not is_dapr(each) and each",
        "return each",
    ),
    (
        tilt_rules.every_object_is_of_one_resource,
        "['Deployment', 'StatefulSet', 'Service']",
        "['Deployment', 'Secret', 'Service']",
    ),
    (
        tilt_rules.nobody_waits_for_pods_that_are_none,
        "pod_readiness='ignore', labels=['cluster']",
        "labels=['cluster']",
    ),
    (
        tilt_rules.nobody_waits_for_pods_that_are_none,
        "k8s_resource('valkey', ",
        "k8s_resource('valkey', pod_readiness='ignore', ",
    ),
    (
        tilt_rules.workloads_come_after_their_settings,
        "k8s_resource('valkey', resource_deps=['settings']",
        "k8s_resource('valkey', resource_deps=['namespace']",
    ),
    (
        tilt_rules.workloads_come_after_their_settings,
        "k8s_resource('otel-collector'",
        "k8s_resource('otelcollector'",
    ),
    (
        tilt_rules.everything_is_in_one_namespace,
        "NAMESPACE = 'agent-actors'",
        "NAMESPACE = 'agents'",
    ),
    (tilt_rules.everything_is_in_one_namespace, "for each in objects:", "for each in objects[1:]:"),
    (tilt_rules.charts_are_pinned, "'1.18.3', '0.15.0'", "'1.17.0', '0.15.0'"),
    (tilt_rules.charts_are_pinned, "'--wait', '--timeout'", "'--timeout'"),
    (tilt_rules.charts_are_pinned, "'--timeout', '10m'", "'--timeout', '10s'"),
    (tilt_rules.charts_are_pinned, "dapr.github.io/helm-charts", "dapr.github.io/charts"),
    (
        tilt_rules.charts_are_pinned,
        "'--namespace', 'dapr-system', '--create",
        "'--namespace', 'dapr', '--create",
    ),
    (
        tilt_rules.dapr_gets_our_values,
        "'--values', 'k8s/dapr-values.yaml'",
        "'--values', 'k8s/values.yaml'",
    ),
    (tilt_rules.dapr_gets_our_values, "deps=['k8s/dapr-values.yaml']", "deps=['k8s/values.yaml']"),
    (
        tilt_rules.only_minikube_is_touched,
        "allow_k8s_contexts('minikube')",
        "allow_k8s_contexts(['minikube', 'prod'])",
    ),
    (tilt_rules.only_minikube_is_touched, "['kubectl', '--context', k8s_context()]", "['kubectl']"),
    (tilt_rules.only_minikube_is_touched, "'--kube-context', k8s_context(),", ""),
    (tilt_rules.what_kustomize_reads_is_watched, "watch_file('k8s/base/settings.env')\n", ""),
    (tilt_rules.the_image_is_the_pods, "target='dev'", "target='develop'"),
    (tilt_rules.the_image_is_the_pods, "    'agent-actors', '.'", "    'agents', '.'"),
    (tilt_rules.the_image_is_the_pods, "'README.md', 'components'", "'README.md'"),
    (tilt_rules.changed_code_lands_where_it_runs, "'/app/src'", "'/app'"),
    (tilt_rules.changed_code_lands_where_it_runs, "'/app/src'", "'/src'"),
    (tilt_rules.changed_code_lands_where_it_runs, "sync('src',", "sync('src/agent_actors',"),
    (tilt_rules.changed_code_lands_where_it_runs, "target='dev'", "target='runtime'"),
    (
        tilt_rules.what_is_installed_is_built_anew,
        "fall_back_on(['pyproject.toml', ",
        "fall_back_on([",
    ),
    (
        tilt_rules.what_is_installed_is_built_anew,
        "'requirements-build.lock', 'requirements-image.lock'])",
        "'requirements.lock'])",
    ),
    (tilt_rules.tilt_ends_as_the_page_says, "timeout='20m'", "timeout='20s'"),
    (tilt_rules.tilt_ends_as_the_page_says, "readiness_timeout='10m'", "readiness_timeout='1m'"),
    (
        tilt_rules.tilt_ends_as_the_page_says,
        "k8s_upsert_timeout_secs=300",
        "k8s_upsert_timeout_secs=30",
    ),
    (tilt_rules.tilt_is_new_enough, ">=0.35.0", ">=0.30.0"),
    (
        tilt_rules.lean_leaves_out_what_shows_traces,
        ".get('lean', False)",
        ".get('lean', True)",
    ),
    (tilt_rules.lean_leaves_out_what_shows_traces, "define_bool('lean'", "define_bool('small'"),
    (tilt_rules.lean_leaves_out_what_shows_traces, "if not lean:", "if lean:"),
    (tilt_rules.tests_are_started_by_hand, "auto_init=False", "auto_init=True"),
    (tilt_rules.tests_are_started_by_hand, "['make', 'test']", "['make', 'tests']"),
    (tilt_ways.ports_lead_to_pods, "port_forward(8000, 8000", "port_forward(8000, 8080"),
    (tilt_ways.ports_lead_to_pods, "('prometheus', 9090", "('prometheus', 9091"),
    (tilt_ways.ports_are_those_of_the_page, "port_forward(8000, 8000", "port_forward(8001, 8000"),
    (
        tilt_ways.ports_are_those_of_the_page,
        "port_forward(port, port",
        "port_forward(port + 1, port",
    ),
    (tilt_ways.the_dashboard_is_forwarded, "'8080:8080'", "'8080:80'"),
    (tilt_ways.the_dashboard_is_forwarded, "'8080:8080'", "'8081:8080'"),
    (tilt_ways.the_dashboard_is_forwarded, "'service/dapr-dashboard'", "'service/dashboard'"),
    (
        tilt_ways.the_dashboard_is_forwarded,
        "'port-forward', '--namespace', 'dapr-system'",
        "'port-forward', '--namespace', NAMESPACE",
    ),
    (tilt_ways.the_dashboard_is_forwarded, "http_get_action(8080)", "http_get_action(8000)"),
    (
        tilt_ways.the_dashboard_is_forwarded,
        "link('http://localhost:8080'",
        "link('http://localhost:8000'",
    ),
    (tilt_ways.links_lead_somewhere, "localhost:8000/docs", "localhost:8000/doc"),
    (tilt_ways.links_lead_somewhere, "localhost:8000/metrics", "localhost:9090/metrics"),
    (tilt_ways.buttons_are_those_of_the_page, "text='List actors'", "text='Actors'"),
    (
        tilt_ways.buttons_are_those_of_the_page,
        "resource='agent-actors', text='Doctor'",
        "resource='dapr', text='Doctor'",
    ),
    (tilt_ways.buttons_run_in_the_service, "'deployment/agent-actors'", "'deployment/agents'"),
    (
        tilt_ways.buttons_run_in_the_service,
        "'deployment/agent-actors'",
        "'statefulset/agent-actors'",
    ),
    (
        tilt_ways.buttons_run_in_the_service,
        "'--container', 'agent-actors'",
        "'--container', 'daprd'",
    ),
    (tilt_ways.buttons_run_in_the_service, "'--namespace', NAMESPACE, 'exec'", "'exec'"),
    (tilt_ways.buttons_run_in_the_service, "'agent-actors', '--')", "'agent-actors')"),
    (
        tilt_ways.buttons_run_in_the_service,
        "['agent-actors', 'doctor']",
        "['agent-actors', 'doctors']",
    ),
    (
        tilt_ways.buttons_run_in_the_service,
        "['agent-actors', 'doctor']",
        "['agent-actors', 'doctor', '--runtimes', 'dapr']",
    ),
    (
        tilt_ways.buttons_run_in_the_service,
        "['agent-actors', 'doctor']",
        "['agent-actors', 'doctor', '--runtime', 'kubernetes']",
    ),
    (
        tilt_ways.buttons_run_in_the_service,
        "['agent-actors', 'doctor']",
        "['agent-actor', 'doctor']",
    ),
    (tilt_ways.the_first_message_is_the_pages, "'chat', 'ada', 'Hello'", "'chat', 'Hello', 'ada'"),
    (tilt_ways.the_first_message_is_the_pages, "'chat', 'ada', 'Hello'", "'say', 'ada', 'Hello'"),
    (
        tilt_ways.the_first_message_is_the_pages,
        "'Hello']",
        "'Hello', '--url', 'http://127.0.0.1:8080']",
    ),
    (tilt_ways.the_list_of_actors_is_the_sidecars, "/v1.0/metadata", "/v1.0/metadatas"),
    (tilt_ways.the_list_of_actors_is_the_sidecars, "'DAPR_HTTP_PORT'", "'DAPR_GRPC_PORT'"),
    (tilt_ways.the_list_of_actors_is_the_sidecars, "'activeActors'", "'active_actors'"),
    (tilt_ways.the_list_of_actors_is_the_sidecars, "['python', '-c', COUNT]", "['python', COUNT]"),
    (tilt_ways.keys_are_in_their_secret_only, "{'name': 'model-keys'}", "{'name': 'model-key'}"),
    (tilt_ways.keys_are_in_their_secret_only, "'GEMINI_API_KEY', 'OPENAI", "'GEMINI_KEY', 'OPENAI"),
    (
        tilt_ways.keys_are_in_their_secret_only,
        "['agent-actors', 'doctor']",
        "['env', 'K=%s' % os.getenv('OPENAI_API_KEY'), 'agent-actors', 'doctor']",
    ),
]


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    WORSE,
    ids=[f"{check.__name__}-{number}" for number, (check, _, _) in enumerate(WORSE)],
)
def test_a_careless_edit_breaks_its_rule(check: Check, right: str, wrong: str):
    """A Tiltfile with a wrong word in it is seen to break the rule that is about it."""
    text = TILTFILE.read_text(encoding="utf-8")

    assert right in text
    assert any(broken(check, text.replace(right, wrong)))


def broken(check: Check, text: str) -> Iterator[str]:
    """What a rule has against that text, with `--lean` or without."""
    for options in ({}, {"lean": True}):
        yield from check(evaluate(text, environment=KEYS, options=options))


def test_every_rule_has_its_edit():
    """No rule is there that has never refused anything."""
    assert {check for check, _, _ in WORSE} == {*ORDER, *WAYS}


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("resource_deps=['dapr', 'comp", "resource_dep=['dapr', 'comp", "no argument"),
        ("sync('src'", "sinc('src'", "sinc"),
        ("'list-actors', resource=", "'list-actors', resources=", "no argument"),
        ("'ext://uibutton'", "'ext://uibuttons'", "no extension"),
        ("load('ext://uibutton', 'cmd_button')", "", "cmd_button"),
        ("pod_readiness='ignore'", "pod_readiness='none'", "cannot be"),
        ("link('http://localhost:8080',", "link('a', 'b', 'c',", "no argument"),
        ("'%s:%s' % (each['metadata']['name'], each['kind'].lower())", "f'{each}'", "f-string"),
    ],
)
def test_what_tilt_would_refuse_is_refused_here(right: str, wrong: str, said: str):
    """A misspelt argument, function or extension, and a string that Starlark lacks, are found."""
    text = TILTFILE.read_text(encoding="utf-8")

    assert right in text
    with pytest.raises(starlark.StarlarkError, match=said):
        evaluate(text.replace(right, wrong))
