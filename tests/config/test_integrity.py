"""A small run's files, made by jobs as scripts make them, then damaged in every way."""

import inspect
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import altair as alt
import numpy as np
import pytest
import torch
import yaml
from fixtures import ROOT
from snakemake.iocontainers import Namedlist
from typer.testing import CliRunner

from metamers import snakemake_script
from metamers.cli.main import app
from metamers.config import decided, integrity, listings, run_verification, validation
from metamers.figures import style
from metamers.images import references, sources
from metamers.storage import metamers, raw_tables, tables
from metamers.storage.metamers import Metamers

SMALL = ROOT / "tests/configurations/small.yaml"
WILDCARDS = {"references": "photographs", "recipe": "main", "model_set": "single_squeezenet"}
WILDCARDS |= {"stage": "late", "bound": "unbounded", "shard": "000-of-002"}
METAMERS = "metamers/photographs/main/single_squeezenet/late/unbounded/000-of-002.safetensors"


def configured(**changes):
    config = validation.read([SMALL], ROOT / "config/config.yaml")
    return validation.plan_of(config | changes, ROOT)


class Run:
    """Jobs of a run in the working directory."""

    def __init__(self, plan):
        self.plan = plan
        self.folder = integrity.RESULTS / plan.run

    def begin(self, rule, wildcards, inputs, outputs, **keys):
        named = Namedlist(fromdict={k: str(self.folder / v) for k, v in inputs.items()})
        outputs = [str(self.folder / path) for path in outputs]
        for path in outputs:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        decides = decided.param(self.plan, rule)(wildcards)
        job = SimpleNamespace(
            config=self.plan.config,
            scriptdir=str(ROOT / "workflow/scripts"),
            rule=rule,
            wildcards=wildcards,
            input=named,
            output=outputs,
            params=SimpleNamespace(decided_by=decides),
        )
        return integrity.begin(job, **keys), outputs

    def references(self):
        outputs = ["references/photographs.safetensors", "references/photographs.parquet"]
        wildcards = {"references": "photographs"}
        job, (images, manifest) = self.begin("prepare_references", wildcards, {}, outputs)
        rows, pixels = references.prepare(
            self.plan.config["data"], job.decided_by["preprocessing"], "photographs",
            job.decided_by["draw"], job.decided_by["seed"],
        )  # fmt: skip
        references.save(images, [row.image_id for row in rows], pixels)
        tables.write(raw_tables.REFERENCES, map(asdict, rows), manifest)
        job.finish()

    def weights(self):
        wildcards = {"model": "squeezenet1_1"}
        job, (note,) = self.begin("fetch_weights", wildcards, {}, ["weights/squeezenet1_1.json"])
        Path(note).write_text(json.dumps({"model": "squeezenet1_1"}))
        job.finish()

    def metamers(self):
        inputs = {"references": "references/photographs.safetensors"}
        inputs |= {"weights": "weights/squeezenet1_1.json"}
        inputs |= {"manifest": "references/photographs.parquet"}
        job, (path,) = self.begin(
            "synthesize_metamers", WILDCARDS, inputs, [METAMERS], gate=["manifest"]
        )
        losses = [np.full((3, 1), value) for value in (1.0, 0.1, 0.1)]
        found = Metamers(
            ["a", "b", "c"],
            ["squeezenet1_1"],
            torch.zeros((3, 3, 4, 4)),
            torch.zeros((3, 3, 4, 4), dtype=torch.uint8),
            *losses,
            np.full(3, 12),
            np.full(3, 24),
            {"condition": WILDCARDS},
        )
        metamers.save(path, found)
        job.finish()

    def figure(self, error=""):
        outputs = [f"figures/losses.{form}" for form in ("svg", "png", "html")]
        job, (svg, *_) = self.begin("draw_figures", {}, {"metamers": METAMERS}, outputs)
        chart = alt.Chart({"values": [{"x": 1}]}).mark_point().properties(width=9, height=9)
        style.save(chart, Path(svg).with_suffix(""))
        job.finish(dict.fromkeys(job.outputs if error else [], error))

    def page(self):
        table = {"table": "references/photographs.parquet"}
        job, (page,) = self.begin("compare_with_paper", {}, table, ["claims.md"])
        Path(page).write_text("# Claims\n")
        job.finish()

    def gallery(self):
        outputs = ["gallery/index.html", "gallery/files.json"]
        job, (page, _) = self.begin("draw_gallery", {}, {"metamers": METAMERS}, outputs)
        Path(page).write_text("<p>all metamers</p>")
        (self.folder / "gallery/images").mkdir(exist_ok=True)
        for name in ("images/0.png", "gallery.js"):
            (self.folder / "gallery" / name).write_text(name)
        listings.write(self.folder / "gallery")
        job.finish()

    def make(self):
        steps = (self.references, self.weights, self.metamers, self.figure, self.page, self.gallery)
        for step in steps:
            step()

    def findings(self):
        return {f.path: f for f in run_verification.inspect_run(self.plan, self.folder)}


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(snakemake_script, "start_logging", lambda job: None)


@pytest.fixture(scope="session")
def plan():
    return configured()


@pytest.fixture(scope="session")
def pristine(plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(snakemake_script, "start_logging", lambda job: None)
        Run(plan).make()
    return folder / "results"


@pytest.fixture
def run(plan, pristine):
    shutil.copytree(pristine, integrity.RESULTS)
    return Run(plan)


KINDS = [
    "references/photographs.safetensors",
    "references/photographs.parquet",
    "weights/squeezenet1_1.json",
    METAMERS,
    "figures/losses.svg",
    "figures/losses.png",
    "figures/losses.html",
    "claims.md",
    "gallery/index.html",
    "gallery/files.json",
]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def test_a_run_as_it_was_made_is_clean(run):
    assert run.findings() == {}
    assert {integrity.place(p, run.folder) for p in run_verification.results(run.folder)} == set(
        KINDS
    )


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("name", KINDS)
def test_damage_to_each_kind_of_file_is_found_and_named(run, name, damage):
    damage(run.folder / name)
    assert run.findings()[name].kind == "damaged"


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_each_kind_in_anothers_place_is_foreign(run, name):
    elsewhere = (run.folder / name).with_stem("another")
    shutil.copy(run.folder / name, elsewhere)
    found = run.findings()[integrity.place(elsewhere, run.folder)]
    assert found.kind == "foreign"
    assert name in found.reason


def test_a_file_of_each_kind_of_another_configuration_is_stale(run, tmp_path, monkeypatch):
    other = Run(configured(seed=1))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    other.make()
    monkeypatch.chdir(tmp_path)
    for name in KINDS:
        if "weights" in name:
            continue  # no seed decides those
        own = (run.folder / name).read_bytes()
        shutil.copy(tmp_path / "other" / other.folder / name, run.folder / name)
        found = run.findings()[name]
        assert found.kind == "stale"
        assert "seed is 1, expected 0" in found.reason
        (run.folder / name).write_bytes(own)
    assert run.findings() == {}


def test_what_was_made_from_another_input_is_stale(run):
    other = Run(configured(preprocessing=run.plan.config["preprocessing"] | {"crop": 0.9}))
    other.references()
    found = {f.path: f for f in run_verification.inspect_run(other.plan, other.folder)}
    assert found[METAMERS].kind == "stale"
    assert "made from another references/photographs.safetensors" in found[METAMERS].reason


def test_what_the_gate_reads_decides_nothing(run):
    record = integrity.seals.opened(run.folder / METAMERS)[0]
    assert set(record.inputs) == {"references/photographs.safetensors", KINDS[2]}
    source = record.inputs["references/photographs.safetensors"]["decided_by"]
    assert source["photographs"]["number"] == 5
    assert len(source["photographs"]["sha256"]) == 64


def test_a_missing_input_and_what_nothing_makes_are_named(run):
    (run.folder / "weights/squeezenet1_1.json").unlink()
    found = run.findings()
    assert found["weights/squeezenet1_1.json"].kind == "missing"
    stages = {"stages": ["early"]}
    experiments = {n: e | stages for n, e in run.plan.config["experiments"].items()}
    smaller = Run(configured(experiments=experiments))
    assert smaller.findings()[METAMERS].kind == "left over"


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_job_refuses_a_damaged_input_and_says_what_to_type(run, damage):
    damage(run.folder / METAMERS)
    with pytest.raises(integrity.IntegrityError) as refused:
        run.figure()
    assert METAMERS in str(refused.value)
    assert "metamers verify results/small --repair" in str(refused.value)


def test_a_figure_that_failed_is_named_until_it_is_drawn(run):
    run.figure(error="it could not be drawn: no <such> -- column")
    names = {f"figures/losses.{form}" for form in ("svg", "png", "html")}
    assert {f.path for f in run.findings().values() if f.kind == "failed"} == names
    with pytest.raises(
        integrity.IntegrityError, match=r"losses\.svg: failed: it could not be drawn"
    ):
        run.begin("verify_results", {}, {"figure": "figures/losses.svg"}, ["verified.json"])
    assert verify("--configfile", SMALL, "--repair").exit_code == 1
    run.figure()
    assert run.findings() == {}


def test_files_of_the_gallery_are_those_of_its_list(run):
    folder = run.folder / "gallery"
    (folder / "images/0.png").unlink()
    (folder / "gallery.js").write_text("another")
    (folder / "images/1.png").write_text("of another run")
    found = run.findings()["gallery/files.json"]
    assert found.kind == "damaged"
    assert found.reason == (
        "gallery.js is damaged; images/0.png is missing; images/1.png is not in the list"
    )
    assert verify("--configfile", SMALL, "--repair").exit_code == 1
    assert not (folder / "files.json").exists()  # so that the page and the rest are made anew
    (folder / "images/1.png").unlink()
    run.gallery()
    assert run.findings() == {}


def test_what_decides_nothing_changes_nothing(run):
    engine = run.plan.config["engine"] | {"batch_size": 7, "device": "cpu", "checkpoint_every": 9}
    evaluation = run.plan.config["evaluation"] | {"batch_size": 9, "conditions_per_job": 3}
    changes = {"engine": engine, "evaluation": evaluation, "weights_cache": "elsewhere"}
    other = Run(configured(**changes, accuracy_gate={"margin": 0.9}))
    assert other.findings() == {}


def test_convention_of_divergences_decides_evaluations_alone(run):
    plain = run.plan
    evaluation = plain.config["evaluation"] | {"divergence": {"bandwidth": "scott"}}
    other = configured(evaluation=evaluation)
    wildcards = {
        "batch": next(iter(plain.batches)),
        "evaluators": next(iter(plain.evaluator_groups)),
    }
    one, two = (decided.by(p, "evaluate_models", wildcards) for p in (plain, other))
    assert two == one | {"divergence": {"bandwidth": "scott"}}
    assert decided.by(plain, "measure_images", wildcards) == decided.by(
        other, "measure_images", wildcards
    )


def test_drafts_of_killed_attempts_are_swept(run):
    drafts = [run.folder / "references" / f".photographs.{end}.ab.tmp" for end in ("parquet", "x")]
    for draft in drafts:
        draft.write_text("half")
    run.references()
    assert not drafts[0].exists()  # of the job that ran
    assert drafts[1].exists()
    run_verification.sweep_run(run.folder)
    assert not drafts[1].exists()


def verify(*arguments):
    command = ["verify", "results/small", "--default", str(ROOT / "config/config.yaml")]
    return CliRunner().invoke(app, [*command, *map(str, arguments)])


def test_the_command_says_what_is_wrong_and_sets_it_aside(run, pristine):
    clean = verify("--configfile", SMALL)
    assert (clean.exit_code, "0 of them wrong" in clean.output) == (0, True)
    flip(run.folder / METAMERS)
    found = verify("--configfile", SMALL)
    assert (found.exit_code, f"{METAMERS}: damaged" in found.output) == (1, True)
    assert verify("--configfile", SMALL, "--repair").exit_code == 1
    assert not (run.folder / METAMERS).exists()
    assert list(run.folder.rglob("set_aside/*/metamers/**/*.safetensors"))
    run.metamers()
    assert verify("--configfile", SMALL).exit_code == 0
    assert (run.folder / METAMERS).read_bytes() == (pristine / "small" / METAMERS).read_bytes()


def test_the_command_refuses_the_configuration_of_another_run(run, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"run": "other"}))
    refused = verify("--configfile", SMALL, "--configfile", other)
    assert refused.exit_code == 2
    assert "'other'" in refused.output


@pytest.fixture
def own(plan, tmp_path):
    """A run one of whose models has local weights and code of one's own."""
    (tmp_path / "net.pth").write_bytes(b"\x80 first")
    (tmp_path / "mycode.py").write_text(
        "raise SystemExit  # who looks at a module runs none of it\n"
    )
    changes = {"architecture": "import:mycode:network"}
    changes |= {"weights": {"source": "local", "path": str(tmp_path / "net.pth")}}
    own = Run(replace(plan, zoo={**plan.zoo, "squeezenet1_1": plan.zoo["squeezenet1_1"] | changes}))
    own.weights()
    return own


@pytest.mark.parametrize(("name", "key"), [("net.pth", "sha256"), ("mycode.py", "code")])
def test_weights_and_code_replaced_under_their_name_make_their_note_stale(own, name, key):
    assert own.findings() == {}
    Path(name).write_bytes(b"\x80 other")
    (found,) = own.findings().values()
    assert (found.path, found.kind) == ("weights/squeezenet1_1.json", "stale")
    assert found.reason.startswith(f"{key} is ")


def test_weights_that_are_moved_or_not_at_hand_change_nothing(own, tmp_path):
    of = decided.param(own.plan, "fetch_weights", str(own.folder / "weights/{model}.json"))
    decides = of({"model": "squeezenet1_1"})
    Path("net.pth").rename(tmp_path / "moved.pth")
    assert own.findings() == {}
    assert of({"model": "squeezenet1_1"}) == decides  # as the file says
    row = own.plan.zoo["squeezenet1_1"]
    weights = {"source": "local", "path": str(tmp_path / "moved.pth")}
    moved = replace(own.plan, zoo={**own.plan.zoo, "squeezenet1_1": row | {"weights": weights}})
    assert Run(moved).findings() == {}
    assert decided.by(moved, "fetch_weights", {"model": "squeezenet1_1"}) == decides


def test_photographs_that_change_under_their_name_make_the_references_stale(plan, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for image in sources.candidates({"source": "embedded"})[:5]:
        shutil.copy(image.path, pictures)
    run = Run(configured(data={"source": "folder", "path": str(pictures)}))
    run.references()
    assert run.findings() == {}
    first, second = sorted(pictures.iterdir())[:2]
    shutil.copy(first, second)
    found = run.findings()
    assert set(found) == set(KINDS[:2])
    assert all("photographs.sha256 is" in finding.reason for finding in found.values())


def test_snakemake_looks_at_changes_of_the_parameter():
    """It looks at no parameter whose function takes more than wildcards."""
    assert list(inspect.signature(decided.param(None, "draw_figures")).parameters) == ["wildcards"]
