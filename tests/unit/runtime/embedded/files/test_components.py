import os
from pathlib import Path

import pytest
import yaml

from agent_actors.errors import StartupError
from agent_actors.protocol.wire import CONVERSATIONS, LESSON_PUBSUB, MESSAGES, PUBSUB, USER_CHAT
from agent_actors.runtime.embedded.files.components import (
    Components,
    find,
    read,
    require,
)

ROOT = Path(__file__).parents[5]
BOUND = "kind: Component\nmetadata: {name: bound}\nspec: {type: bindings.kafka}\n"
BUS = "kind: Component\nmetadata: {name: bus}\nspec: {type: pubsub.redis}\n---\n"
HEAD = "apiVersion: dapr.io/v2alpha1\nkind: Subscription\n"
SPEC = "spec: {pubsubname: bus, topic: t, routes: {default: /a}}\n"
STORE = "kind: Component\nmetadata: {name: own}\nspec: {type: secretstores.local.file, "


def written(folder: Path, text: str) -> Path:
    (folder / "file.yaml").write_text(text, errors="surrogateescape")
    return folder


def test_our_own_components_are_understood():
    """The shipped folder has our topic and the lessons', each with its dead-letter topic."""
    ours = read(ROOT / "components")
    routes = {(each.pubsub, each.topic): each.route("any") for each in ours.subscriptions}
    dead = {each.topic: each.dead_letter_topic for each in ours.subscriptions}

    assert ours.pubsubs == {PUBSUB, LESSON_PUBSUB}
    assert routes == {
        (PUBSUB, USER_CHAT): "/subscribe",
        (PUBSUB, f"{USER_CHAT}-dead"): "/subscribe/dead",
        (LESSON_PUBSUB, CONVERSATIONS): "/conversations",
        (LESSON_PUBSUB, f"{CONVERSATIONS}-dead"): "/conversations/dead",
        (LESSON_PUBSUB, MESSAGES): "/messages",
        (LESSON_PUBSUB, f"{MESSAGES}-dead"): "/messages/dead",
    }
    assert dead == {
        topic: None if topic.endswith("-dead") else f"{topic}-dead" for _, topic in routes
    }
    assert ours.secret_stores == ()


def test_the_lessons_broker_is_ours():
    """Both pub/sub components are the same broker with the same retries."""
    texts = {path.stem: path.read_text() for path in (ROOT / "components").glob("*.yaml")}
    ours, lessons = (yaml.safe_load(texts[name]) for name in (PUBSUB, "lesson-pubsub"))
    retries = yaml.safe_load(texts["resiliency"])["spec"]["targets"]["components"]

    assert lessons["metadata"] == {"name": LESSON_PUBSUB}
    assert lessons["spec"] == ours["spec"]
    assert retries[LESSON_PUBSUB] == retries[PUBSUB]


@pytest.mark.parametrize("path", sorted((ROOT / "components").glob("*.yaml")), ids=lambda p: p.stem)
def test_a_policy_is_alone_in_its_file(path: Path):
    """Daprd looks for a Resiliency in the first document of a file only."""
    kinds = [each["kind"] for each in yaml.safe_load_all(path.read_text())]

    assert "Resiliency" not in kinds or kinds == ["Resiliency"]


def test_rules_go_before_the_default(tmp_path: Path):
    """The first rule whose event type fits names the route; else the default does, if any."""
    text = (
        BUS
        + HEAD
        + (
            "spec:\n  pubsubname: bus\n  topic: t\n  routes:\n    default: /other\n    rules:\n"
            "      - {match: 'event.type == \"a\"', path: /a}\n"
            "      - {match: \"event.type=='b'\", path: /b}\n"
        )
    )
    (subscription,) = read(written(tmp_path, text)).subscriptions

    assert [subscription.route(kind) for kind in ("a", "b", "c")] == ["/a", "/b", "/other"]

    (tmp_path / "file.yaml").write_text(text.replace("    default: /other\n", ""))
    (subscription,) = read(tmp_path).subscriptions

    assert [subscription.route(kind) for kind in ("a", "c")] == ["/a", None]


def test_what_is_not_ours_is_ignored(tmp_path: Path):
    """Other kinds, other components, empty documents and other files change nothing."""
    (tmp_path / "notes.txt").write_text("{")
    text = (
        "---\n---\nkind: Resiliency\nspec: {}\n---\nkind: Configuration\n---\n"
        "kind: Component\nmetadata: {name: s}\nspec: {type: state.redis}\n"
    )

    assert read(written(tmp_path, text)) == Components()
    assert read(None) == Components()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "not YAML"),
        ("- a\n- b", "not a mapping"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("kind: Component\nspec: {type: pubsub.redis}", "metadata"),
        (
            "apiVersion: dapr.io/v1alpha1\nkind: Subscription\nspec: {}",
            "apiVersion dapr.io/v2alpha1",
        ),
        (HEAD + "spec: {topic: t, routes: {default: /a}}", "pubsubname"),
        (HEAD + "spec: {pubsubname: bus, topic: t}", "routes"),
        (HEAD + "spec: {pubsubname: bus, topic: t, routes: {}}", "routes.default or routes.rules"),
        (HEAD + "spec: {pubsubname: bus, topic: t, routes: {default: a}}", "default"),
        (HEAD + "spec: {pubsubname: other, topic: t, routes: {default: /a}}", "'other'"),
        (
            HEAD + "spec: {pubsubname: bus, topic: t,"
            " routes: {rules: [{match: 'event.type != \"a\"', path: /a}]}}",
            "the rule",
        ),
        (
            HEAD + "spec: {pubsubname: bus, topic: t, routes: {default: /a},"
            " metadata: {rawPayload: 'true'}}",
            "rawPayload works with daprd only",
        ),
        (
            HEAD + "spec: {pubsubname: bus, topic: t, routes: {default: /a},"
            " metadata: {rawPayload: perhaps}}",
            "spec.metadata.rawPayload",
        ),
        (STORE + "metadata: [{name: secretsFile, envRef: HOME}]}", "spec.metadata.0.value"),
        (STORE + "metadata: {secretsFile: x}}", "spec.metadata"),
        (f"{STORE}}}\n---\n{STORE}}}", "a component 'own' of its kind already"),
        (f"{HEAD}{SPEC}---\n{HEAD}{SPEC}", "has a subscription already"),
        ("\udcff", "it cannot be read"),
    ],
)
def test_what_cannot_be_used_stops_the_start(tmp_path: Path, text: str, reason: str):
    """The text names the file and says what is wrong with it."""
    with pytest.raises(StartupError) as error:
        read(written(tmp_path, BUS + text if "apiVersion" in text else text))

    assert "file.yaml" in str(error.value)
    assert reason in str(error.value)


def test_a_pipe_is_not_opened(tmp_path: Path):
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "file.yaml")

    with pytest.raises(StartupError, match=r"file\.yaml.*it is not a regular file"):
        read(tmp_path)


def test_a_payload_that_is_not_raw_is_a_cloud_event(tmp_path: Path):
    """`rawPayload: false` and metadata for the broker are accepted."""
    said = "metadata: {rawPayload: 'false', other: x}"
    text = f"{BUS}{HEAD}spec: {{pubsubname: bus, topic: t, routes: {{default: /a}}, {said}}}\n"

    assert len(read(written(tmp_path, text)).subscriptions) == 1


def test_a_secret_store_is_described(tmp_path: Path):
    """Names are in lower case, values are text; other types' metadata is not read."""
    text = (
        STORE + "metadata: [{name: secretsFile, value: x.json}, {name: MultiValued, value: true},"
        " {name: other, value: 1}]}\n---\n"
        "kind: Component\nmetadata: {name: vault}\nspec: {type: secretstores.hashicorp.vault,"
        " metadata: [{name: vaultToken, envRef: TOKEN}]}\n"
    )
    own, vault = read(written(tmp_path, text)).secret_stores

    assert (own.name, own.type) == ("own", "secretstores.local.file")
    assert own.path == tmp_path / "file.yaml"
    assert own.metadata == {"secretsfile": "x.json", "multivalued": "true", "other": "1"}
    assert (vault.name, vault.type) == ("vault", "secretstores.hashicorp.vault")
    assert vault.metadata == {}


def test_a_topic_of_another_broker_is_another_topic(tmp_path: Path):
    """Two pub/sub components may have topics of one name."""
    one = HEAD + SPEC
    two = one.replace("bus", "tram").replace("/a", "/b")
    text = f"{BUS}{BUS.replace('bus', 'tram')}{one}---\n{two}"

    assert [each.default for each in read(written(tmp_path, text)).subscriptions] == ["/a", "/b"]


def test_the_folder_is_the_users_then_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The configured folder wins, then ./components, then the one we ship."""
    monkeypatch.chdir(tmp_path)

    assert find(None) == ROOT / "components"

    (tmp_path / "components").mkdir()

    assert find(None) == Path("components")
    assert find(tmp_path) == tmp_path
    with pytest.raises(StartupError, match="AGENT_ACTORS_COMPONENTS"):
        find(tmp_path / "nowhere")


def test_folders_are_listed_as_in_path(tmp_path: Path):
    """All folders of a list are read; one that does not exist is named."""
    listed = Path(os.pathsep.join((str(ROOT / "components"), str(written(tmp_path, BOUND)))))
    found = read(find(listed))

    assert found.subscriptions == read(ROOT / "components").subscriptions
    assert [each.name for each in found.bindings] == ["bound"]
    with pytest.raises(StartupError, match="'nowhere'"):
        find(Path(f"{tmp_path}{os.pathsep}nowhere"))


def test_a_folder_without_our_topic_is_refused(tmp_path: Path):
    """With another project's `components`, every event would be lost silently."""
    (tmp_path / "Button.yaml").write_text("kind: Foo\n")
    needed = [(PUBSUB, USER_CHAT)]
    require(read(ROOT / "components"), ROOT / "components", needed)
    with pytest.raises(StartupError, match=f"{tmp_path}.*no Subscription.*user-chat"):
        require(read(tmp_path), tmp_path, needed)
