"""Algorithm 1, and the predecessor's rule, written again from their descriptions.

In numpy and double loops where that is possible, one image at a time: slow, and sharing no
code with the library. The tests compare the two step by step.
"""

from __future__ import annotations

import numpy as np
import torch


def loss_and_gradient(network, image, reference):
    """Return relative L2 loss of one image and its gradient, by autograd on a batch of two."""
    pair = torch.from_numpy(np.stack([image, image])).requires_grad_(True)
    target = network(torch.from_numpy(np.stack([reference, reference])))
    difference = (network(pair) - target).reshape(2, -1).pow(2).sum(1).sqrt()
    losses = difference / target.reshape(2, -1).pow(2).sum(1).sqrt()
    losses.sum().backward()
    return float(losses[0].detach()), pair.grad[0].numpy()


def change(rule, gradient):
    if rule == "raw":
        return gradient
    if rule == "sign":
        return np.sign(gradient)
    return gradient / (np.sqrt((gradient**2).sum()) + 1e-10)


def project(image, center, norm, radius):
    if norm == "linf":
        return np.minimum(np.maximum(image, center - radius), center + radius)
    offset = image - center
    length = np.sqrt((offset.astype(np.float64) ** 2).sum())
    return center + offset * min(1.0, radius / length) if length else image


def round_robin(
    networks, start, reference, *, repetitions, steps_per_turn, rate, rule, bound=None, clamp=True
):
    """Return the images after each turn. A turn is one network's steps."""
    image, seen = start.copy(), []
    for repetition in range(repetitions):
        network = networks[repetition % len(networks)]
        for _ in range(steps_per_turn):
            _, gradient = loss_and_gradient(network, image, reference)
            image = (image - rate(repetition) * change(rule, gradient)).astype(np.float32)
            if bound:
                image = project(image, bound[0], bound[1], bound[2]).astype(np.float32)
            if clamp:
                image = image.clip(0, 1)
        seen.append(image.copy())
    return seen


def feather(network, start, reference, *, phases, steps_per_phase):
    """Return the image of each phase of the predecessor's rule.

    As published: a normalised step, the L2 ball around the phase's own start with a radius so
    large that it does nothing, a clamp; the step halves from one phase to the next.
    """
    image, seen, step = start.copy(), [], 1.0
    for _ in range(phases):
        center = image.copy()
        for _ in range(steps_per_phase):
            _, gradient = loss_and_gradient(network, image, reference)
            # The published code ascends the negated loss.
            image = image + step * (-gradient) / (np.linalg.norm(gradient) + 1e-10)
            image = project(image, center, "l2", 100_000).clip(0, 1).astype(np.float32)
        seen.append(image.copy())
        step /= 2
    return seen
