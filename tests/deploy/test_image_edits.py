"""Careless edits of the Dockerfile and of .dockerignore: each is refused by a rule."""

import pytest

from tests.deploy import image_rules
from tests.deploy.dockerfile import DOCKERFILE, stages
from tests.deploy.image_rules import ALWAYS, Check, dockerignored
from tests.deploy.manifests import ROOT

WORSE: list[tuple[Check, str, str]] = [
    (image_rules.one_base_is_pinned, "-slim-trixie AS runtime", "-slim-bookworm AS runtime"),
    (image_rules.one_base_is_pinned, "python:3.13.16-slim-trixie", "python:3.13-slim"),
    (image_rules.one_base_is_pinned, "python:3.13.16-slim-trixie", "python:3.13.16-trixie"),
    (image_rules.what_is_copied_is_there, "requirements-image.lock", "requirements-images.lock"),
    (image_rules.what_is_copied_is_there, "README.md LICENSE", "README.md LICENSE CHANGELOG.md"),
    (image_rules.other_stages_are_earlier, "--from=build", "--from=builder"),
    (image_rules.other_stages_are_earlier, "--from=build", "--from=runtime"),
    (image_rules.other_stages_are_earlier, "=build /opt/agent-actors", "=build /opt/venv"),
    (image_rules.other_stages_are_earlier, "uv venv /opt/agent-actors", "uv venv /opt/actors"),
    (
        image_rules.other_stages_are_earlier,
        "/opt/agent-actors /opt/agent-actors\n",
        "/opt/agent-actors /app/venv\n",
    ),
    (
        image_rules.everything_is_installed_into_one_environment,
        "uv pip install --python /opt/agent-actors --no-deps",
        "uv pip install --no-deps",
    ),
    (
        image_rules.everything_is_installed_into_one_environment,
        "        -r requirements-image.lock",
        "        -r requirements-image.lock -r requirements-build.lock",
    ),
    (image_rules.packages_come_from_locks, "--only-binary :all: ", ""),
    (image_rules.packages_come_from_locks, " --require-hashes", ""),
    (image_rules.packages_come_from_locks, "-r requirements-build.lock", "uv hatchling"),
    (image_rules.packages_come_from_locks, "--no-deps --no-index", "--no-deps"),
    (image_rules.what_is_used_was_copied_before, "COPY components ./components\n", ""),
    (image_rules.what_is_used_was_copied_before, " README.md LICENSE ./", " README.md ./"),
    (image_rules.what_is_used_was_copied_before, "COPY requirements-image.lock ./\n", ""),
    (
        image_rules.a_change_of_code_installs_no_package,
        "COPY requirements-image.lock ./",
        "COPY requirements-image.lock src ./",
    ),
    (image_rules.commands_are_found, "PATH=/opt/agent-actors/bin:$PATH", "PATH=/opt/bin:$PATH"),
    (image_rules.commands_are_found, "PATH=/opt/agent-actors/bin:$PATH", "PATH=$PATH"),
    (image_rules.commands_are_found, "/bin:$PATH", "/bin"),
    (image_rules.commands_are_found, "    PATH=/opt/agent-actors/bin:$PATH \\\n", ""),
    (image_rules.commands_are_found, '["agent-actors", "serve"', '["agent-actors", "server"'),
    (image_rules.commands_are_found, '["agent-actors", "serve"', '["agent_actors", "serve"'),
    (image_rules.commands_are_found, '"serve", "--host"', '"serve", "--bind"'),
    (image_rules.commands_are_found, '"--runtime", "dapr"', '"--runtime", "Dapr"'),
    (
        image_rules.commands_are_found,
        'CMD ["agent-actors", "serve", "--host", "0.0.0.0", "--port", "8000"]',
        "CMD agent-actors serve --host 0.0.0.0 --port 8000",
    ),
    (image_rules.users_are_the_pods, "USER 10001:10001\n", "USER agents\n"),
    (image_rules.users_are_the_pods, "USER 10001:10001\n", "USER 1000:1000\n"),
    (image_rules.users_are_the_pods, "--chown=10001:10001 ", "--chown=1001:1001 "),
    (image_rules.users_are_the_pods, "WORKDIR /app\nCOPY", "USER 10001:10001\nWORKDIR /app\nCOPY"),
    (image_rules.data_can_be_written, "10001 .agent-actors", "10001 data"),
    (image_rules.data_can_be_written, "WORKDIR /app\n", ""),
    (image_rules.data_can_be_written, "--owner 10001", "--owner 1001"),
    (image_rules.data_can_be_written, "HOME=/tmp", "HOME=/root"),
    (
        image_rules.data_can_be_written,
        "WORKDIR /app\n# For the data",
        "ENV AGENT_ACTORS_DATA=/data\nWORKDIR /app\n# For the data",
    ),
    (image_rules.ports_are_the_pods, "EXPOSE 8000", "EXPOSE 8080"),
    (image_rules.ports_are_the_pods, '"8000"]', '"8080"]'),
    (image_rules.ports_are_the_pods, '"0.0.0.0"', '"127.0.0.1"'),
    (
        image_rules.the_last_stage_has_no_tool,
        "python:3.13.16-slim-trixie AS runtime",
        "build AS runtime",
    ),
    (image_rules.the_last_stage_has_no_tool, "RUN python -m pip uninstall --yes pip\n", ""),
    (
        image_rules.the_last_stage_has_no_tool,
        "RUN python -m pip uninstall --yes pip",
        "RUN apt-get update && apt-get install --yes gcc && python -m pip uninstall --yes pip",
    ),
    (
        image_rules.the_last_stage_has_no_tool,
        "COPY --from=build /opt/agent-actors /opt/agent-actors\n",
        "COPY --from=build /opt/agent-actors /opt/agent-actors\nCOPY src /app/src\n",
    ),
    (
        image_rules.the_last_stage_has_no_tool,
        'EXPOSE 8000\nCMD ["agent-actors", "serve"',
        'EXPOSE 8000\nHEALTHCHECK CMD true\nCMD ["agent-actors", "serve"',
    ),
    (
        image_rules.the_manifests_run_what_the_image_runs,
        '"serve", "--host"',
        '"serve", "--insecure", "--host"',
    ),
    (image_rules.dev_starts_again_when_code_changes, '"--reload", ', ""),
    (image_rules.dev_starts_again_when_code_changes, "PYTHONPATH=/app/src", "PYTHONPATH=/src"),
    (image_rules.dev_starts_again_when_code_changes, "src ./src\nUSER", "src ./code\nUSER"),
    (image_rules.dev_starts_again_when_code_changes, "--chown=10001:10001 ", ""),
    (
        image_rules.dev_starts_again_when_code_changes,
        "FROM build AS dev",
        "FROM python:3.13.16-slim-trixie AS dev",
    ),
    (image_rules.dev_starts_again_when_code_changes, "    PYTHONDONTWRITEBYTECODE=1 \\\n", ""),
]


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    WORSE,
    ids=[f"{check.__name__}-{number}" for number, (check, _, _) in enumerate(WORSE)],
)
def test_a_careless_edit_breaks_its_rule(check: Check, right: str, wrong: str):
    """A Dockerfile with a wrong word in it is seen to break the rule that is about it."""
    text = DOCKERFILE.read_text(encoding="utf-8")

    assert right in text
    assert any(check(stages(text.replace(right, wrong))))


def test_every_rule_has_its_edit():
    """No rule is there that has never refused anything."""
    assert {check for check, _, _ in WORSE} == {*ALWAYS}


@pytest.mark.parametrize(
    ("right", "wrong", "path"),
    [
        ("*\n", "", ".git"),
        ("*\n", "", "secrets.json"),
        ("**/__pycache__", "", "src/agent_actors/__pycache__"),
        ("!src\n", "!src\n!.agent-actors\n", ".agent-actors"),
    ],
)
def test_a_careless_edit_lets_more_into_the_build(right: str, wrong: str, path: str):
    """What is kept out of the build is kept out by one line, and that is seen."""
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")

    assert not dockerignored(path, text)
    assert dockerignored(path, text.replace(right, wrong))
