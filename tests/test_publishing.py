"""The files by which GitHub, Binder and citation managers know the project."""

import os
import re
import subprocess
import tomllib

import pytest
import yaml
from helpers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW = (ROOT / ".github" / "workflows" / "pages.yml").read_text()


def test_binder_files_are_at_the_top():
    # repo2docker looks in a directory binder or .binder instead, where there is one, and takes
    # these before environment.yml, which it takes before requirements.txt.
    before = ("Dockerfile", "Project.toml", "REQUIRE", "default.nix", "install.R", "DESCRIPTION")
    for name in ("binder", ".binder", *before):
        assert not (ROOT / name).exists(), name
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    assert re.fullmatch(r"python=3\.1[123]", python)


def test_apt_txt_names_one_package_a_line():
    lines = (ROOT / "apt.txt").read_text().splitlines()
    assert lines
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line) for line in lines)
    assert len(set(lines)) == len(lines)


@pytest.mark.slow
def test_post_build_fetches_the_data_and_never_fails(tmp_path):
    script = ROOT / "postBuild"
    assert os.access(script, os.X_OK)
    (tmp_path / "cifarcam").write_text('#!/bin/sh\necho "$@" >> asked\nexit 1\n')
    (tmp_path / "cifarcam").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([script], cwd=tmp_path, env={"PATH": path}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == "data\n"


def test_workflow_pins_actions_to_commits_and_names_versions():
    uses = re.findall(r"uses: (.+)", WORKFLOW)
    assert uses
    for line in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_workflow_lets_only_its_deployment_publish():
    workflow = yaml.safe_load(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    assert jobs["deploy"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert [name for name, job in jobs.items() if "permissions" in job] == ["deploy"]
    assert all("timeout-minutes" in job for job in jobs.values())
    assert set(jobs["deploy"]["needs"]) == set(jobs) - {"deploy"}
    assert "pull_request" in jobs["deploy"]["if"]
    assert "secrets" not in WORKFLOW


def test_workflow_uses_targets_and_files_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", WORKFLOW):
        assert re.search(rf"(?m)^{target}:", makefile), target
    for quoted in re.findall(r"hashFiles\((.+?)\)", WORKFLOW):
        for pattern in re.findall(r"'(.+?)'", quoted):
            assert list(ROOT.glob(pattern)), pattern


def test_citation_has_version_and_licence_of_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    config = yaml.safe_load((ROOT / "book" / "_config.yml").read_text())
    assert citation["title"] == config["title"]
    assert citation["authors"] == [{"name": config["author"]}]
