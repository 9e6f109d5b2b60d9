"""`tilt up` asks for the right things, in the right order: the Tiltfile runs against stubs."""

import re

import jsonschema
import pytest
import starlark
import yaml

from tests.deploy.command_line import option
from tests.deploy.manifests import K8S, ROOT, of_kind
from tests.deploy.tilt_rules import CHARTS, ORDER, Check
from tests.deploy.tilt_ways import KEYS, WAYS, described, first_message, on_the_page
from tests.deploy.tiltfile import TILTFILE, Record, evaluate


@pytest.fixture(params=["all", "lean"], scope="module")
def record(request: pytest.FixtureRequest) -> Record:
    lean = {"lean": True} if request.param == "lean" else None
    return evaluate(options=lean, environment=KEYS)


def named(check: Check) -> str:
    return check.__name__


@pytest.mark.parametrize("check", [*ORDER, *WAYS], ids=named)
def test_the_tiltfile_keeps_to_its_rules(record: Record, check: Check):
    """Each rule holds, with `--lean` and without."""
    assert not [*check(record)]


def test_one_version_of_dapr_is_named():
    """Documents and values name the chart's version that the Tiltfile installs."""
    (command,) = (each["cmd"] for each in evaluate().of("local_resource") if each["name"] == "dapr")

    assert option(command, "--version") == CHARTS["dapr"]
    for path in ("docs/kubernetes.md", "k8s/dapr-values.yaml"):
        named = re.findall(r"--version (\S+)", (ROOT / path).read_text())
        assert set(named) == {CHARTS["dapr"]}, path


def test_the_values_of_the_chart_say_what_we_rely_on():
    """Sidecars pass `restricted`, one that is missing is noticed, and certificates are on."""
    values = yaml.safe_load((K8S / "dapr-values.yaml").read_text())

    assert values["dapr_sidecar_injector"]["sidecarDropALLCapabilities"] is True
    assert values["dapr_operator"]["watchInterval"] not in {"0", "0s"}
    assert values["global"]["mtls"]["enabled"] is True


def test_another_cluster_is_refused():
    """Tilt by itself takes whatever it knows for a laptop's, and would put our secrets there."""
    with pytest.raises(starlark.StarlarkError, match="the context is kind-kind"):
        evaluate(context="kind-kind")


def test_everything_that_is_looked_at_is_forwarded():
    """API, dashboard, traces, metrics and their pictures are on localhost."""
    record = evaluate()
    there = {
        *(each["local_port"] for each in record.of("port_forward")),
        *(each["port"] for each in record.of("http_get_action")),
    }

    assert there == {*on_the_page().values()}
    assert len(there) == 5


def test_the_pages_first_message_is_one_of_the_api():
    """Its path is a route, and its body what the route takes."""
    _, path, body = first_message()
    api = described()
    (operations,) = (
        each
        for template, each in api["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and "post" in each
    )
    schema = operations["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(api | schema)

    assert not [*validator.iter_errors(body)]
    assert [*validator.iter_errors(body | {"role": "nobody"})]


@pytest.mark.parametrize("given", [{}, {"OPENAI_API_KEY": "o"}, KEYS, {"GEMINI_API_KEY": ""}])
def test_keys_are_optional(given: dict[str, str]):
    """Keys of the environment become a Secret; without any there is none."""
    secrets = [
        each["stringData"]
        for each in of_kind(evaluate(environment=given).manifests, "Secret")
        if each["metadata"]["name"] == "model-keys"
    ]
    wanted = {name: key for name, key in given.items() if key}

    assert secrets == ([wanted] if wanted else [])


def test_the_tiltfile_stays_short():
    """It is read in one go."""
    assert len(TILTFILE.read_text().splitlines()) <= 120
