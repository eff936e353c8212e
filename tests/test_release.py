"""What a release rests on: locks, workflows, the version, the changelog and the records of the software."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kgpert_lib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = sorted(path for path in (ROOT / ".ci").iterdir() if path.is_file())
BASH = [path for path in SCRIPTS if "python" not in path.read_text().partition("\n")[0]]
LOCKS = {
    "requirements.lock": ["book", "test"],
    "requirements-llm.lock": ["llm"],
    "requirements-rl.lock": ["rl"],
    "requirements-rehearsal.lock": ["rehearsal"],
}
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def pins(lock: str) -> dict[str, str]:
    """Version of each package of a lock. Every one of them has to carry a hash."""
    versions = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / lock).read_text()):
        head, *hashes = entry.replace("\\\n", "").split("--hash=")
        name, version = re.match(r"([\w.-]+)==([^\s;]+)", head).groups()
        assert hashes, f"{name} of {lock} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text.strip()) for text in hashes), name
        versions[canonicalize_name(name)] = version
    return versions


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_its_extras_ask_for_in_versions_that_they_accept(lock):
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    asked = [
        *project["dependencies"],
        *(text for extra in LOCKS[lock] for text in project["optional-dependencies"][extra]),
    ]
    if lock == "requirements.lock":
        asked += groups["build"]
    versions = pins(lock)
    wrong = [
        text
        for requirement, text in ((Requirement(text), text) for text in asked)
        if canonicalize_name(requirement.name) != "torch"
        and not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ]
    assert wrong == []


def test_locks_agree_and_none_has_torch():
    every = [(name, version) for lock in LOCKS for name, version in pins(lock).items()]
    names = [name for name, _ in set(every)]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert "torch" not in names
    pinned = next(text for text in PROJECT["project"]["optional-dependencies"]["rehearsal"] if text.startswith("torch"))
    assert f"TORCH := {pinned}\n" in (ROOT / "Makefile").read_text()


def test_what_builds_the_package_is_locked():
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_but_where_a_job_says_more_and_pins_each_action(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for line in re.findall(r"uses: (.+)", path.read_text()):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+|\./\.github/workflows/\w+\.yml", line), line
    for step in steps(workflow):
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_every_script_and_target_that_workflows_and_scripts_name_exists():
    texts = {path: path.read_text() for path in [*WORKFLOWS, *SCRIPTS, ROOT / ".devcontainer" / "devcontainer.json"]}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path, text in texts.items():
        lines = [line.split("#")[0].strip().removeprefix("- run: ") for line in text.splitlines()]
        for line in lines:
            for script in re.findall(r"^\.ci/(\w+)", line):
                assert os.access(ROOT / ".ci" / script, os.X_OK), (path, script)
            for target in re.findall(r'^(?:"postCreateCommand": ")?make ([a-z-]+)', line):
                assert target in targets, (path, target)
        for called in re.findall(r"uses: \./(\S+)", text):
            assert (ROOT / called).is_file()


@pytest.mark.parametrize("script", BASH, ids=lambda path: path.name)
def test_scripts_are_bash_that_stops_at_the_first_error(script):
    assert "\nset -euo pipefail\n" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


def test_a_release_without_its_section_of_the_changelog_stops_first(tmp_path):
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    ran = subprocess.run([tmp_path / ".ci" / "packages", "v0.0.99"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "CHANGELOG.md has no section '## [0.0.99]'; add it before the tag.\n"


def test_notes_of_a_release_are_its_section_alone(tmp_path):
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    sections = ["[Unreleased]\n\n- new", "[0.2.0] - 2027-01-01\n\n### Added\n\n- this", "[0.2] - 2026-01-01\n\n- old"]
    text = "\n\n## ".join(["# Changelog", *sections]) + "\n\n[0.2.0]: https://example.org\n"
    (tmp_path / "CHANGELOG.md").write_text(text)
    no_python = {**os.environ, "PYTHON": "false"}  # stops before anything is built
    assert subprocess.run([tmp_path / ".ci" / "packages", "v0.2.0"], env=no_python).returncode == 1
    assert (tmp_path / "notes.md").read_text() == "\n### Added\n\n- this\n\n"


def test_the_changelog_has_one_section_of_what_is_not_released_yet_and_known_heads():
    text = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## (.+)", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", name) for name in sections[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)", text, re.MULTILINE)) <= kinds


def test_the_version_is_that_of_the_installed_package():
    assert kgpert_lib.__version__ == importlib.metadata.version("kgpert-lib")


def test_sources_that_are_not_installed_say_so(tmp_path):
    (tmp_path / "kgpert_lib").symlink_to(ROOT / "kgpert_lib")
    code = f"import sys; sys.path = [{str(tmp_path)!r}, *sys.path]; import kgpert_lib; print(kgpert_lib.__version__)"
    ran = subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "unknown\n"


def version_of(folder: Path) -> str:
    command = [sys.executable, "-m", "hatchling", "version"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_a_tag_is_the_version_of_a_clone_and_of_an_archive_and_other_tags_are_not(tmp_path):
    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", "-C", clone, *who, *words], check=True, capture_output=True).stdout

    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitattributes", ".git_archival.txt"):
        shutil.copy(ROOT / name, clone)
    assert version_of(clone) == "0.1.dev0"
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    git("tag", "data-2026")
    assert re.fullmatch(r"0\.1\.dev1\+g[0-9a-f]+", version_of(clone))
    git("tag", "v2.3.4")
    assert version_of(clone) == "2.3.4"
    archive = tmp_path / "archive"
    archive.mkdir()
    subprocess.run(["tar", "x", "-C", archive], input=git("archive", "HEAD"), check=True)
    assert version_of(archive) == "2.3.4"


def test_records_of_the_software_agree():
    zenodo, project = json.loads((ROOT / ".zenodo.json").read_text()), PROJECT["project"]
    assert zenodo["title"] == CITATION["title"]
    assert zenodo["license"] == CITATION["license"] == project["license"]
    assert zenodo["keywords"] == project["keywords"]
    assert [creator["name"] for creator in zenodo["creators"]] == [author["name"] for author in CITATION["authors"]]
    paper = CITATION["references"][0]["identifiers"][0]["value"]
    assert [related["identifier"] for related in zenodo["related_identifiers"]] == [paper]
    assert "version" not in CITATION  # the tag is the one place of it
    assert "version" not in project
