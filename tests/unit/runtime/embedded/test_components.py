from pathlib import Path

import pytest

from agent_actors.contracts import PUBSUB, USER_CHAT
from agent_actors.errors import StartupError
from agent_actors.runtime.embedded.components import (
    Components,
    Subscription,
    find,
    read,
    require,
)

ROOT = Path(__file__).parents[4]
BUS = "kind: Component\nmetadata: {name: bus}\nspec: {type: pubsub.redis}\n---\n"
HEAD = "apiVersion: dapr.io/v2alpha1\nkind: Subscription\n"


def written(folder: Path, text: str) -> Path:
    (folder / "file.yaml").write_text(text)
    return folder


def test_our_own_components_are_understood():
    """The shipped folder has the topic of what was said and its dead-letter topic."""
    ours = read(ROOT / "components")

    assert ours.pubsubs == {PUBSUB}
    assert {each.topic: each.route("any") for each in ours.subscriptions} == {
        USER_CHAT: "/subscribe",
        f"{USER_CHAT}-dead": "/subscribe/dead",
    }


def test_rules_go_before_the_default(tmp_path: Path):
    """The first rule whose event type fits names the route; else the default does."""
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


def test_without_a_default_the_rest_has_no_route(tmp_path: Path):
    """Rules alone are enough."""
    text = (
        BUS
        + HEAD
        + (
            "spec: {pubsubname: bus, topic: t, deadLetterTopic: d,"
            " routes: {rules: [{match: 'event.type == \"a\"', path: /a}]}}"
        )
    )

    assert read(written(tmp_path, text)).subscriptions == (
        Subscription("bus", "t", (("a", "/a"),), None, "d"),
    )


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
    ],
)
def test_what_cannot_be_used_stops_the_start(tmp_path: Path, text: str, reason: str):
    """The text names the file and says what is wrong with it."""
    with pytest.raises(StartupError) as error:
        read(written(tmp_path, BUS + text if "apiVersion" in text else text))

    assert "file.yaml" in str(error.value)
    assert reason in str(error.value)


def test_a_topic_has_one_subscription(tmp_path: Path):
    """A second subscription of a topic is refused: one of them would be silent."""
    one = HEAD + "spec: {pubsubname: bus, topic: t, routes: {default: /a}}\n"

    with pytest.raises(StartupError, match="has a subscription already"):
        read(written(tmp_path, f"{BUS}{one}---\n{one}"))


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path):
    """A file of another encoding is named."""
    (tmp_path / "latin.yaml").write_bytes(b"\xff\xfe\xff")

    with pytest.raises(StartupError, match=r"latin\.yaml"):
        read(tmp_path)


def test_the_folder_is_the_users_then_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The configured folder wins, then ./components, then the one we ship."""
    monkeypatch.chdir(tmp_path)

    assert find(None) == ROOT / "components"

    (tmp_path / "components").mkdir()

    assert find(None) == Path("components")
    assert find(tmp_path) == tmp_path
    with pytest.raises(StartupError, match="AGENT_ACTORS_COMPONENTS"):
        find(tmp_path / "nowhere")


def test_a_folder_without_our_topic_is_refused(tmp_path: Path):
    """Some other project's `components` would lose every event without a word."""
    (tmp_path / "Button.yaml").write_text("kind: Foo\n")
    needed = [(PUBSUB, USER_CHAT)]
    require(read(ROOT / "components"), ROOT / "components", needed)
    with pytest.raises(StartupError, match=f"{tmp_path}.*no Subscription.*user-chat"):
        require(read(tmp_path), tmp_path, needed)
