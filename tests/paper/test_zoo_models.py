"""Every row of the zoo tells the truth: built with random weights, nothing downloaded."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import zoo_page
from published_checkpoints import constants, content

from metamers.models import zoo
from metamers.models.classifier import Classifier, build
from metamers.models.stages import ActivationRecorder, Features
from metamers.models.weights.state_dict import state_dict
from metamers.models.zoo import ModelSpec
from metamers.preflight.flops import own_side, stage_cards

# timm 1.0.9 uses it when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.interface:FutureWarning")

ROOT = Path(__file__).parents[2]
SPECS = zoo.specs(zoo.read(ROOT / "config/models.yaml"))
CARD = zoo_page.read_card(ROOT / "tests/golden/stages.csv")
DEPTHS = {"early": 0.2, "middle": 0.5, "late": 0.8}  # section 4.4
IN_PACKAGES = ("package", "sdist", "wheel")
PUBLISHED = [n for n, s in SPECS.items() if s.weights.source not in (*IN_PACKAGES, "random")]


@dataclass
class Passed:
    """A model, and what one full forward pass of it gave."""

    spec: ModelSpec
    classifier: Classifier
    images: torch.Tensor
    logits: torch.Tensor
    activations: dict[str, torch.Tensor]


@pytest.fixture(scope="module", params=SPECS)
def passed(request):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    spec = SPECS[request.param]
    classifier = build(spec)
    side = own_side(spec)
    images = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    images.requires_grad_()
    listeners = [ActivationRecorder(classifier, line["module"]) for line in CARD[spec.name]]
    for listener in listeners:
        listener.__enter__()
    logits = classifier(images).detach()
    for listener in listeners:
        listener.__exit__()
    heard = zip(DEPTHS, listeners, strict=True)
    activations = {stage: listener.activation.detach() for stage, listener in heard}
    yield Passed(spec, classifier, images, logits, activations)
    torch.set_num_threads(threads)


def test_images_become_1000_finite_logits_where_there_is_a_head(passed):
    assert (passed.logits.shape == (1, 1000)) is passed.spec.has_head
    assert passed.logits.isfinite().all()


def test_parameters_are_as_many_as_the_row_says(passed):
    count = sum(parameter.numel() for parameter in passed.classifier.parameters())
    assert count == passed.spec.parameters > 0


def test_stages_are_those_of_the_golden_card(passed):
    lines = [vars(card) for card in stage_cards(passed.spec, DEPTHS, classifier=passed.classifier)]
    assert [{k: str(v) for k, v in line.items()} for line in lines] == CARD[passed.spec.name]


@pytest.mark.parametrize("stage", DEPTHS)
def test_truncated_forward_equals_the_full_forward(passed, stage):
    module = CARD[passed.spec.name][[*DEPTHS].index(stage)]["module"]
    activation = Features(passed.classifier, module)(passed.images)
    assert activation.grad_fn is not None
    assert torch.equal(activation.detach(), passed.activations[stage])
    assert passed.activations[stage].std() > 0


def test_gradients_reach_every_channel_of_the_image(passed):
    module = CARD[passed.spec.name][-1]["module"]
    activation = Features(passed.classifier, module)(passed.images)
    loss = (activation - 1.1 * passed.activations["late"]).norm()
    (gradient,) = torch.autograd.grad(loss, passed.images)
    assert gradient.isfinite().all()
    assert gradient.abs().amax((0, 2, 3)).min() > 0


@pytest.mark.parametrize("passed", PUBLISHED, indirect=True)
def test_a_checkpoint_in_its_sources_format_loads_strictly(passed, tmp_path):
    network = passed.classifier.network
    expected = constants(network.state_dict())
    path = tmp_path / passed.spec.weights.file
    torch.save(content(passed.spec.name, expected), path)
    entries = state_dict(path, passed.spec.weights.layout, network)
    assert list(entries) == list(expected)
    wrong = [
        name
        for name, value in entries.items()
        if value.shape != expected[name].shape
        or (
            not name.endswith("num_batches_tracked")
            and (value.flatten()[[0, -1]] != expected[name].flatten()[0]).any()
        )
    ]
    assert wrong == []
