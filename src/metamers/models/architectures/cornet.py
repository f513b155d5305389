"""CORnet-S, written from its paper.

Kubilius, Schrimpf et al. (2019), Brain-like object recognition with high-performing shallow
recurrent ANNs, arXiv:1909.06161: Fig. 1 (areas and their circuitry), section 2.2, appendix B.
The names and shapes of the weights are those of the published checkpoint.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

WIDENING = 4  # an area's bottleneck is four times as wide as what it passes on


def cornet_s() -> nn.Sequential:
    """Return CORnet-S with fresh weights: four areas, then a linear decoder.

    Takes normalised images, ``(n, 3, side, side)``, and returns logits, ``(n, 1000)``. The
    output of the modules ``V1``, ``V2``, ``V4`` and ``IT`` is their area's last time step.
    """
    return nn.Sequential(
        OrderedDict(
            V1=_first_area(64),
            V2=RecurrentArea(64, 128, steps=2),
            V4=RecurrentArea(128, 256, steps=4),
            IT=RecurrentArea(256, 512, steps=2),
            decoder=_decoder(512, 1000),
        )
    )


class RecurrentArea(nn.Module):
    """An area that runs its bottleneck several times, each time on its own last output.

    The weights are shared over time, the batch normalisations are not. The first time step
    halves the resolution, in the bottleneck and, by a projection, in the branch around it.
    """

    def __init__(self, in_channels: int, channels: int, steps: int) -> None:
        super().__init__()
        wide = channels * WIDENING
        self.steps = steps
        self.conv_input = _pointwise(in_channels, channels)
        self.skip = nn.Conv2d(channels, channels, kernel_size=1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(channels)
        self.conv1 = _pointwise(channels, wide)
        self.conv2 = nn.Conv2d(wide, wide, kernel_size=3, padding=1, bias=False)
        self.conv3 = _pointwise(wide, channels)
        for step in range(steps):
            self.add_module(f"norm1_{step}", nn.BatchNorm2d(wide))
            self.add_module(f"norm2_{step}", nn.BatchNorm2d(wide))
            self.add_module(f"norm3_{step}", nn.BatchNorm2d(channels))

    def forward(self, images: Tensor) -> Tensor:
        """Return the state after the last time step, at half the resolution of the input."""
        state = self.conv_input(images)
        for step in range(self.steps):
            state = self._advance(state, step)
        return state

    def _advance(self, state: Tensor, step: int) -> Tensor:
        norm1, norm2, norm3 = (self.get_submodule(f"norm{i}_{step}") for i in (1, 2, 3))
        stride = 2 if step == 0 else 1
        around = self.norm_skip(self.skip(state)) if step == 0 else state
        inner = norm1(self.conv1(state)).relu()
        # The stride changes over time: an argument here, so that the module stays as it is.
        inner = nn.functional.conv2d(inner, self.conv2.weight, stride=stride, padding=1)
        inner = norm2(inner).relu()
        return (norm3(self.conv3(inner)) + around).relu()


def _first_area(channels: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False),
            norm1=nn.BatchNorm2d(channels),
            nonlin1=nn.ReLU(),
            pool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            conv2=nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            norm2=nn.BatchNorm2d(channels),
            nonlin2=nn.ReLU(),
        )
    )


def _decoder(channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            linear=nn.Linear(channels, classes),
        )
    )


def _pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)
