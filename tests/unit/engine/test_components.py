"""Component files for a Redis of one's own."""

import os
from pathlib import Path

from agent_actors.engine.components import SHIPPED, components_for

SHIPPED_FILES = Path(__file__).parents[3] / "components"


def test_the_copies_name_the_redis(tmp_path: Path):
    """Every shipped file is copied, and none names the shipped address any more."""
    target = components_for("127.0.0.1:21000", SHIPPED_FILES, tmp_path / "copies")

    texts = {path.name: path.read_text() for path in target.iterdir()}
    shipped = {path.name: path.read_text() for path in SHIPPED_FILES.glob("*.yaml")}
    assert texts == {
        name: text.replace(SHIPPED, "127.0.0.1:21000") for name, text in shipped.items()
    }
    assert sum("127.0.0.1:21000" in text for text in texts.values()) >= 2


def test_files_of_several_folders_are_copied(tmp_path: Path):
    """Folders are listed as in PATH; files of one name are two files."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "same.yaml").write_text(f"in: {folder.name}")
    target = components_for("x:1", Path(os.pathsep.join(map(str, folders))), tmp_path / "copies")

    assert {path.read_text() for path in target.iterdir()} == {"in: one", "in: two"}


def test_copies_of_another_run_are_removed(tmp_path: Path):
    """A component that is no longer among the files is not among the copies; other files stay."""
    source, target = tmp_path / "source", tmp_path / "target"
    for folder, name in ((source, "new.yml"), (target, "old.yaml"), (target, "kept.txt")):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("a: b")

    components_for("127.0.0.1:21000", source, target)

    assert sorted(path.name for path in target.iterdir()) == ["kept.txt", "new.yml"]
