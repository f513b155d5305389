"""Image metrics against other implementations, cases worked by hand, and their rows."""

import numpy as np
import pytest
import torch
from natural_images import IDS, SIDE, N, natural
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from metamers.evaluation.metrics import compute, frechet, pixel, registry
from metamers.evaluation.metrics.compute import MetricSuite
from metamers.storage import raw_tables, tables
from metamers.storage.columns import CONDITION_KEY


@pytest.fixture(scope="module")
def references():
    return natural(0)


@pytest.fixture(scope="module")
def metamers(references):
    noise = np.random.default_rng(1).normal(0, 20, size=references.shape)
    return torch.from_numpy((references.numpy() + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def rows(metamers, references):
    return compute.measure(metamers, references, IDS)


def values_of(rows, name):
    return rows[rows.measure == name].set_index("image_id").value[IDS].to_numpy(float)


def each(function, first, second):
    """Apply a function of two (h, w, 3) arrays to each pair of images."""
    pairs = zip(first.permute(0, 2, 3, 1).numpy(), second.permute(0, 2, 3, 1).numpy(), strict=True)
    return np.array([function(a, b) for a, b in pairs])


def ssim_by_scipy(first, second):
    """Return structural similarity, gaussian windows of 11 pixels, mirrored at the border."""
    offsets = np.arange(-5, 6)
    window = np.exp(-0.5 * (offsets / 1.5) ** 2)
    window /= window.sum()

    def mean(values):
        rows = correlate1d(values, window, axis=0, mode="mirror")
        return correlate1d(rows, window, axis=1, mode="mirror")

    a, b = first / 255.0, second / 255.0
    shared = mean(a * b) - mean(a) * mean(b)
    spread = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
    luminance = (2 * mean(a) * mean(b) + 1e-4) / (mean(a) ** 2 + mean(b) ** 2 + 1e-4)
    return np.mean(luminance * (2 * shared + 9e-4) / (spread + 9e-4))


def test_psnr_is_that_of_scikit_image_for_each_image(rows, metamers, references):
    expected = each(lambda m, r: peak_signal_noise_ratio(r, m), metamers, references)
    assert values_of(rows, "psnr") == pytest.approx(expected, rel=1e-5)


def test_ssim_is_that_of_scipy_filters(rows, metamers, references):
    # torchmetrics computes in float32
    expected = each(ssim_by_scipy, metamers, references)
    assert values_of(rows, "ssim") == pytest.approx(expected, abs=1e-5)


def test_ssim_is_that_of_scikit_image_but_for_the_border(rows, metamers, references):
    def inner(metamer, reference):
        return structural_similarity(
            reference,
            metamer,
            channel_axis=2,
            gaussian_weights=True,
            use_sample_covariance=False,
            data_range=255,
        )

    expected = each(inner, metamers, references)
    assert values_of(rows, "ssim") == pytest.approx(expected, rel=0.08)


def test_vif_is_that_of_sewar(rows, metamers, references):
    from sewar.full_ref import vifp

    expected = each(lambda m, r: vifp(r, m), metamers, references)
    assert values_of(rows, "vif") == pytest.approx(expected, rel=1e-4)


def test_vif_falls_with_noise(references):
    # on pixels in [0, 1] torchmetrics would order these the other way round
    floats = references / 255
    noise = torch.randn(floats.shape, generator=torch.Generator().manual_seed(0))
    weak, strong = ((floats + s * noise).clamp(0, 1) for s in (0.02, 0.2))
    assert torch.all(pixel.vif(weak, floats) > 2 * pixel.vif(strong, floats))


def test_rase_is_walds_formula_by_hand():
    reference = torch.full((1, 3, 8, 8), 0.5)
    metamer = reference.clone()
    metamer[0, 0] += 0.3  # mean squared errors of the channels: 0.09, 0, 0
    expected = 100 / 0.5 * np.sqrt(0.09 / 3)
    assert pixel.rase(metamer, reference).item() == pytest.approx(expected, rel=1e-6)


def test_windowed_rase_is_that_of_sewar(metamers, references):
    from sewar.full_ref import rase

    expected = each(lambda m, r: rase(r, m), metamers, references)
    found = pixel.rase_windowed(metamers / 255, references / 255)
    assert found.numpy() == pytest.approx(expected, rel=1e-5)


def test_scc_is_that_of_sewar(rows, metamers, references):
    from sewar.full_ref import scc

    expected = each(lambda m, r: scc(r, m), metamers, references)
    assert values_of(rows, "scc") == pytest.approx(expected, abs=1e-5)


def test_total_variation_is_that_of_piq(rows, metamers):
    from piq import total_variation

    expected = total_variation(metamers / 255, reduction="none", norm_type="l1") / (3 * SIDE**2)
    assert values_of(rows, "tv") == pytest.approx(expected.numpy(), rel=1e-5)


def test_total_variation_of_a_step_by_hand():
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = 1.0  # one step in each of 8 rows and 3 channels
    assert pixel.tv(image, image).item() == pytest.approx(8 * 3 / (3 * 64))


def test_ratio_of_total_variation_is_positive_for_noise(rows, metamers, references):
    steps = [
        sum(np.abs(np.diff(i.numpy() / 255, axis=a)).sum(axis=(1, 2, 3)) for a in (2, 3))
        for i in (metamers, references)
    ]
    expected = np.log(steps[0] / steps[1])
    assert values_of(rows, "tv_ratio") == pytest.approx(expected, rel=1e-4)
    assert np.all(expected > 0)


def test_identical_images_reach_the_best_values(references):
    rows = compute.measure(references, references, IDS)
    for name, best in {"ssim": 1, "vif": 1, "rase": 0, "tv_ratio": 0}.items():
        assert values_of(rows, name) == pytest.approx(np.full(N, best), abs=1e-5)
    assert values_of(rows, "scc") == pytest.approx(values_of(rows, "scc_ceiling"), abs=1e-6)


def test_flat_regions_lower_the_ceiling_of_scc():
    flat = natural(3)
    flat[:, :, : SIDE // 2] = 255
    rows = compute.measure(flat, flat, IDS)
    assert np.all(values_of(rows, "scc_ceiling") < 0.7)


def test_what_has_no_finite_value_is_empty_and_says_why(references):
    images = torch.zeros_like(references)
    rows = compute.measure(images, images, IDS).set_index("measure")
    for name in ("psnr", "rase", "tv_ratio", "vif", "spectral_slope", "checkerboard"):
        assert rows.value[name].isna().all(), name
        assert set(rows.status[name]) == {pixel.UNDEFINED[name]}


def test_values_do_not_depend_on_the_batch(rows, metamers, references):
    single = compute.measure(metamers, references, IDS, batch_size=1)
    assert single[["image_id", "measure", "status"]].equals(rows[["image_id", "measure", "status"]])
    assert single.value.to_numpy(float) == pytest.approx(
        rows.value.to_numpy(float), rel=1e-5, nan_ok=True
    )


def test_bytes_and_floats_are_the_same_images(rows, metamers, references):
    floats = compute.measure(metamers / 255, references / 255, IDS)
    assert floats.value.to_numpy(float) == pytest.approx(rows.value.to_numpy(float), nan_ok=True)


def test_all_of_table_1_appear_computed_or_with_the_reason(rows):
    assert set(registry.TABLE_1) <= set(rows.measure)
    absent = rows[rows.measure.isin(["fid", "fid_floor", "lpips", "clip_iqa", "clip_iqa_natural"])]
    assert absent.value.isna().all()
    for _, row in absent.iterrows():
        weights = registry.WEIGHTS[registry.card(row.measure).weights]
        assert row.status.startswith(f"not computed: weights missing: {weights.file}")
        assert weights.url in row.status


def test_rows_are_those_of_the_table(rows, tmp_path):
    condition = dict.fromkeys(CONDITION_KEY, "any")
    path = tmp_path / "image_metrics.parquet"
    tables.write(raw_tables.IMAGE_METRICS, rows.assign(**condition), path)
    assert len(tables.read(raw_tables.IMAGE_METRICS, path)) == len(rows)


def test_images_too_small_for_vif_are_said_to_be(references):
    small = references[:, :, :32, :32]
    rows = compute.measure(small, small, IDS).set_index("measure")
    assert set(rows.status["vif"]) == {"not computed: images of 32 pixels; VIF needs 41 or more"}
    assert set(rows.status["ssim"]) == {"computed"}


def test_a_set_of_one_image_has_no_distance(references):
    tools = MetricSuite({}, {}, lambda images: images.mean(dim=(2, 3)), {})
    rows = compute.measure(references[:1], references[:1], IDS[:1], tools)
    assert list(rows.measure) == ["fid", "kid", "fid_floor"]
    assert set(rows.status) == {"not computed: a set of one image"}


def test_floor_of_a_distance_is_that_of_the_references_alone(metamers):
    tools = MetricSuite({}, {}, lambda images: images.mean(dim=(2, 3)), {})
    references, ids = torch.cat([natural(0), natural(1)]), [f"image{k}" for k in range(2 * N)]
    found = compute.measure(references.flip(3).roll(1, 0), references, ids, tools)
    means = (references / 255).mean(dim=(2, 3)).numpy()
    floor = found.set_index("measure").value["fid_floor"]
    assert floor == pytest.approx(frechet.frechet_floor(means), rel=1e-6)
    few = compute.measure(metamers, metamers, IDS, tools).set_index("measure")
    assert few.status["fid_floor"] == "not computed: 3 images; halves need 4"
    assert few.status["fid"] == "computed"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((N, 3, 48, 48), 1.5), r"pixels from 1.5 to 1.5"),
        (torch.full((N, 3, 48, 48), float("nan")), "pixels from nan"),
        (torch.zeros(N, 3, 48, 48, dtype=torch.int64), "torch.int64"),
        (torch.zeros(N, 1, 48, 48), "shape"),
        (torch.zeros(0, 3, 48, 48), "there are no metamers"),
        (torch.zeros(N, 3, 48, 40), "have to agree"),
    ],
)
def test_bad_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        compute.measure(images, torch.zeros(N, 3, 48, 48), IDS)


def test_too_few_ids_are_refused(references):
    with pytest.raises(ValueError, match="2 image ids"):
        compute.measure(references, references, IDS[:2])
