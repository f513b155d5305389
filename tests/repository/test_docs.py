"""What the pages say is so: links, keys, commands, and the example of the README."""

import re
import shlex
import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import docutils.core
import jinja2
import jsonschema
import numpy as np
import pytest
import typer.main
import yaml
from PIL import Image

import metamers
from metamers.cli import main
from metamers.config import plan, revisions, validation
from metamers.evaluation.metrics import registry
from metamers.models import zoo
from metamers.storage import tables
from metamers.synthesis import settings

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


@cache
def pages():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def without_code(text):
    return re.sub(r"(?ms)^ *```.*?^ *```", "", text)


def anchors(page):
    """The anchors that hosts of repositories make of a page's headings."""
    headings = re.findall(r"(?m)^#+ +(.+)$", without_code(page.read_text()))
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def links(page):
    found = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text()))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} does not exist"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


# Commands


def commands(page):
    """Command lines in a page: of console blocks, and in running text."""
    text = page.read_text()
    blocks = re.findall(r"(?ms)^ *```(?:console|bash|sh)\n(.*?)^ *```", text)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    lines += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", without_code(text))
    parts = [part.strip() for line in lines for part in re.split(r"&&|\|", line)]
    return [part for part in parts if part.split("#")[0].split()[1:]]


def of_program(program):
    return [
        pytest.param(shlex.split(line, comments=True)[1:], id=f"{page.name}: {line}")
        for page in pages()
        for line in dict.fromkeys(commands(page))
        if line.split()[0] == program
    ]


@pytest.mark.parametrize("arguments", of_program("make"))
def test_make_command_exists(arguments):
    targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())
    for word in arguments:
        assert "=" in word or word in targets


@pytest.mark.parametrize("arguments", of_program("metamers"))
def test_metamers_command_exists(arguments):
    command = typer.main.get_command(main.app)
    while hasattr(command, "commands") and arguments and not arguments[0].startswith("-"):
        if arguments[0] not in command.commands and hasattr(command, "default"):
            arguments = [command.default, *arguments]
        assert arguments[0] in command.commands
        command, arguments = command.commands[arguments[0]], arguments[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word.split("=")[0] for word in arguments if word.startswith("--")} <= known


@pytest.mark.parametrize("arguments", of_program("snakemake"))
def test_snakemake_command_exists(arguments):
    from snakemake.cli import get_argument_parser

    parser = get_argument_parser()
    options = {word.split("=")[0] for word in arguments if word.startswith("-")}
    # Those of executors are added when one is chosen.
    executors = {option for option in options if option.startswith("--slurm-")}
    assert options - executors <= parser._option_string_actions.keys()


def test_files_that_commands_name_exist():
    for page in pages():
        for line in commands(page):
            for name in re.findall(r"(?:config|profiles|envs|tests)/[\w./-]+\w", line):
                assert (ROOT / name).exists(), f"{page.name}: {line}"


# Keys of the configuration


def resolved(node):
    while "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].split("/")[-1]]
    return node


def keys(node, path=""):
    """Return the paths of all keys that a schema allows, with the values it lists."""
    node = resolved(node)
    allowed = [*node.get("enum", []), *([node["const"]] if "const" in node else [])]
    found = {path: set(map(str, allowed))}
    inner = {f"{path}.{name}".lstrip("."): sub for name, sub in node.get("properties", {}).items()}
    if isinstance(node.get("additionalProperties"), dict):
        inner[f"{path}.<name>"] = node["additionalProperties"]
    for name, sub in inner.items():
        for key, values in keys(sub, name).items():
            found.setdefault(key, set()).update(values)
    for alternative in [*node.get("oneOf", []), *node.get("anyOf", [])]:
        for key, values in keys(alternative, path).items():
            found.setdefault(key, set()).update(values)
    return found


def documented():
    """Return the row of each key in config/README.md."""
    lines = (ROOT / "config/README.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    return {row.split("`")[1]: row for row in rows}


def leaves():
    found = {key: values for key, values in keys(SCHEMA).items() if key}
    inner = {key for key in found if any(other.startswith(f"{key}.") for other in found)}
    return {key: values for key, values in found.items() if key not in inner}


def test_every_key_of_the_schema_is_documented():
    assert leaves().keys() <= documented().keys()


def test_every_documented_key_is_in_the_schema():
    assert documented().keys() <= keys(SCHEMA).keys()


@pytest.mark.parametrize("key", [key for key, values in leaves().items() if values])
def test_every_value_of_the_schema_is_documented(key):
    row = documented()[key]
    assert all(f"`{value}`" in row for value in leaves()[key])


def test_presets_that_are_documented_are_those_that_there_are():
    row = documented()["recipes.<name>.preset"]
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == set(settings.presets())


@pytest.mark.parametrize(
    "page", [ROOT / "docs/data.md", ROOT / "docs/algorithm.md", ROOT / "README.md"]
)
def test_yaml_in_pages_is_configuration(page):
    default = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", page.read_text()):
        section = yaml.safe_load(block)
        jsonschema.validate(default | section, SCHEMA)


# The README


def example(which=1):
    return re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "README.md").read_text())[which]


def test_three_lines_of_the_readme_make_a_metamer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.jpg")
    names = {}
    exec(example(0), names)
    assert names["made"].images.shape == (1, 3, 224, 224)
    assert len(example(0).splitlines()) == 3


def wishes():
    """The lines of the README's table of what people ask for, and what they type."""
    rows = re.findall(
        r"(?m)^\| ([^|`]+) \| `(metamers\.make.*)` \|$", (ROOT / "README.md").read_text()
    )
    return dict(rows)


@pytest.mark.parametrize("wish", wishes())
def test_lines_of_the_readme_do_what_people_ask_for(wish, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (2, 240, 240, 3), dtype=np.uint8)
    for name, pixels in zip(("photo.jpg", "other.png"), noise, strict=True):
        Image.fromarray(pixels).save(name)
    side = 224 if wish == "a transformer" else 64
    make = partial(metamers.make, steps=2, size=side)
    made = eval(wishes()[wish], {"metamers": SimpleNamespace(make=make)})
    assert made.images.shape[1:] == (3, side, side)
    assert all(np.isfinite(row["loss_after"]) for row in made.losses)


def test_the_readme_answers_all_that_people_ask_for():
    assert len(wishes()) == 5


def test_example_of_the_readme_makes_a_metamer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.jpg")
    names = {}
    exec(example(), names)
    found = names["found"]
    assert (found.losses_after < 0.7 * found.losses_before).all()
    with Image.open("metamer.png") as image:
        assert image.size == (112, 112)


def test_example_of_the_readme_is_short():
    lines = [
        line for line in example().splitlines() if line and not line.startswith(("import", "from"))
    ]
    assert len(lines) <= 12


# Names in pages


def test_modules_that_pages_name_exist():
    # In tables.md, what begins with `metamers.` are keys of a file's metadata.
    for page in [page for page in pages() if page.name != "tables.md"]:
        for name in re.findall(r"`metamers\.([a-z_.]+[a-z_])", page.read_text()):
            parts = name.split(".")
            if parts[0] in metamers.EXPORTS:
                continue
            assert any(
                (ROOT / "src/metamers" / "/".join(parts[:depth])).with_suffix(suffix).exists()
                for depth in {len(parts), max(1, len(parts) - 1)}
                for suffix in (".py", "")
            ), f"{page.name} names metamers.{name}"


def test_revisions_that_contributing_names_are_those_that_there_are():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    there = {name for name, value in vars(revisions).items() if isinstance(value, int)}
    assert {name for name in there if f"`{name}`" in text} == there


def test_tables_that_the_readme_names_are_declared():
    text = (ROOT / "README.md").read_text()
    row = next(line for line in text.splitlines() if "tables/" in line and line.startswith("|"))
    named = set(re.findall(r"`([a-z_]+)`", row.split("|")[2]))
    assert named
    assert named <= tables.TABLES.keys()


def all_figures():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    rows = zoo.read(validation.find(config["zoo"], ROOT))
    return plan.Plan.from_config(config, rows).figures


@pytest.mark.parametrize("figure", all_figures())
def test_figure_has_a_caption(figure):
    assert (ROOT / f"workflow/report/{figure}.rst").read_text().strip()


@pytest.mark.parametrize("name", ["workflow", "claims", *all_figures()])
def test_caption_is_right_restructured_text(name):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        (ROOT / f"workflow/report/{name}.rst").read_text()
    )
    text = template.render(snakemake=SimpleNamespace(config=config))
    overrides = {"halt_level": 2, "report_level": 5}  # any warning is an error
    docutils.core.publish_parts(text, writer="html", settings_overrides=overrides)


def test_metrics_of_table_1_are_told():
    text = (ROOT / "docs/decisions.md").read_text()
    assert all(registry.MEASURES[name].label in text for name in registry.TABLE_1)


def test_sections_that_messages_point_to_exist():
    named = []
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py")]:
        text = re.sub(r"\"\s*\n\s*f?\"", "", path.read_text())
        named += re.findall(r"docs/(\w+\.md),\s(?:section\s)?'([^']+)'", text)
    assert named
    for page, section in named:
        headings = re.findall(r"(?m)^#+ +(.+)$", (ROOT / "docs" / page).read_text())
        assert section.lower() in [heading.lower() for heading in headings], (page, section)


def test_help_runs_without_torch():
    program = "import sys, metamers.cli.main; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
