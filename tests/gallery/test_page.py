"""The gallery in a real browser: filters, order, large view, keys; and nothing it asks or hides."""

from __future__ import annotations

import chromium
import made_up_gallery as made_up
import pytest

pytestmark = chromium.needed

RUN = "document.documentElement.dataset.injected = 'yes'"
HOSTILE = f'<img src=x onerror="{RUN}"></script><script>{RUN}</script>'
KEYS = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("gallery")
    run = made_up.run_of(ids=[f"image {k} {HOSTILE}" for k in range(12)], name=HOSTILE,
                         labels={"pair": f"pair {HOSTILE}"})  # fmt: skip
    made_up.write(path / "gallery", run)
    return path


@pytest.fixture(scope="module")
def browser(folder):
    with chromium.page(folder) as page:
        yield page


@pytest.fixture
def page(browser, folder):
    browser.open("about:blank")
    browser.open((folder / "gallery/index.html").as_uri())
    browser.wait("gallery.firstCards")
    return browser


def press(page, key):
    text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, key=key,
                  windowsVirtualKeyCode=KEYS.get(key, ord(key[0].upper())),
                  **(text if kind == "keyDown" else {}))  # fmt: skip


def count(page):
    return page.run("part('count').textContent").split(" metamers")[0]


def tick(page, axis, label):
    page.run(
        f"[...document.querySelectorAll('fieldset.{axis} label')]"
        f".find(one => one.textContent.trim() === '{label}').click()"
    )


def button(page, name):
    page.run(f"document.querySelector('[aria-label=\"{name}\"]').click()")


def test_all_metamers_are_there_beside_their_references(page):
    assert count(page) == "288 of 288"
    first = page.run("grid.children[0].className + grid.children[0].innerText")
    assert first.startswith("photograph")
    assert "tench" in first
    assert page.run("grid.querySelectorAll('.card').length") >= 24


def test_filters_narrow_and_are_set_back(page):
    tick(page, "stage", "late")
    assert count(page) == "192 of 288"
    button(page, "None: Model set")
    assert count(page) == "0 of 288"
    tick(page, "model_set", "single")
    assert count(page) == "48 of 288"
    button(page, "All: Stage")
    assert count(page) == "72 of 288"
    page.run("part('reset').click()")
    assert count(page) == "288 of 288"
    assert page.run("[...document.querySelectorAll('#axes input')].every(one => one.checked)")


def test_failed_optimisations_are_marked_in_words_and_can_be_left_out(page):
    marked = (
        "[...grid.querySelectorAll('.card')].filter(one => one.innerText.includes('not a metamer'))"
    )
    assert page.run(f"{marked}.length") > 0
    assert page.run(
        f"{marked}.every(one => one.getAttribute('aria-label').includes('not a metamer'))"
    )
    tick(page, "status", "failed: not a metamer")
    assert count(page) == "240 of 288"
    assert page.run(f"{marked}.length") == 0


def test_search_finds_photographs_by_their_class_and_sets_by_their_name(page):
    page.run("part('search').value = 'great white shark'; part('search').oninput()")
    assert count(page) == "24 of 288"
    page.run("part('search').value = 'shark three'; part('search').oninput()")
    assert 0 < int(count(page).split()[0]) < 24


@pytest.mark.parametrize("measure", range(6))
def test_sorting_follows_every_measure_in_both_directions(page, measure):
    values = f"shown.map(row => rows.values[{measure}][row]).filter(one => one !== null)"
    page.run(f"part('sort').value = '{measure}'; part('sort').onchange()")
    rising = page.run(values)
    page.run("part('direction').click()")
    falling = page.run(values)
    page.run("part('direction').click()")
    assert rising == sorted(rising)
    assert falling == rising[::-1]
    assert len(set(rising)) > 1


def test_the_large_view_shows_answers_roles_losses_and_settings(page):
    page.run("document.querySelectorAll('.card')[2].click()")
    page.wait("view.open && part('facts').innerText.includes('Settings')")
    facts = page.run("part('facts').innerText")
    for words in ("member of the set", "held-out", "Loss, worst member", "SSIM", "optimizer sgd"):
        assert words in facts
    assert page.run("document.querySelectorAll('#facts td ol').length") == 8
    assert page.run("document.querySelectorAll('#facts polyline').length") == 1
    assert facts.count("✓ recognised") + facts.count("✗ not recognised") == 4
    assert page.run("part('save-metamer').getAttribute('href')") == "images/0/2.png"
    assert page.run("part('metamer').complete && part('metamer').naturalWidth") == 224


def test_keys_open_flip_zoom_go_on_and_close(page):
    page.run("document.querySelector('.card').focus()")
    press(page, "ArrowRight")
    press(page, "Enter")
    page.wait("view.open")
    title = page.run("part('view-title').textContent")
    visible = "[...document.querySelectorAll('#pair figure')].filter(o => !o.hidden).map(o => o.id)"
    assert page.run(visible) == ["of-reference", "of-metamer"]
    press(page, "f")
    assert page.run(visible) == ["of-reference"]
    press(page, "f")
    assert page.run(visible) == ["of-metamer"]
    before = page.run("part('metamer').getBoundingClientRect().width * devicePixelRatio")
    press(page, "+")
    after = page.run("part('metamer').getBoundingClientRect().width * devicePixelRatio")
    assert (before % 224, after - before) == (0, 224)
    press(page, "ArrowRight")
    assert page.run("part('view-title').textContent") != title
    press(page, "Escape")
    page.wait("!view.open")
    page.wait("document.activeElement.dataset.row === '2'")  # it closes a moment later


def test_a_link_to_a_metamer_opens_it(page, folder):
    page.open("about:blank")
    page.open((folder / "gallery/index.html").as_uri() + "#3-5")
    page.wait("typeof view !== 'undefined' && view.open")
    assert page.run("[rows.photograph[looking.row], rows.condition[looking.row]]") == [3, 5]


def test_names_are_shown_as_text_and_never_run(page):
    page.run("document.querySelectorAll('.card')[7].click()")
    page.wait("part('facts').innerText.includes('Settings')")
    assert HOSTILE in page.run("part('title').textContent")
    assert f"pair {HOSTILE}" in page.run("part('view-title').textContent")
    assert page.run("document.documentElement.dataset.injected || 'no'") == "no"
    assert page.run("document.querySelectorAll('[onerror]').length") == 0


def test_every_control_and_picture_has_a_name(page):
    page.run("document.querySelector('.card').click()")
    page.wait("part('facts').innerText.includes('Settings')")
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    named = (
        "button",
        "checkbox",
        "searchbox",
        "slider",
        "combobox",
        "image",
        "img",
        "dialog",
        "link",
    )
    bare = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in named
        and not node.get("name", {}).get("value", "").strip()
    ]  # fmt: skip
    assert bare == []
    assert sum(node["role"]["value"] == "button" for node in nodes) >= 7


def test_a_narrow_screen_needs_no_sideways_scrolling(page, folder):
    page.send(
        "Emulation.setDeviceMetricsOverride",
        width=380,
        height=800,
        deviceScaleFactor=2,
        mobile=True,
    )
    page.open((folder / "gallery/index.html").as_uri())
    page.wait("gallery.firstCards")
    assert page.run("document.documentElement.scrollWidth") <= 380
    assert not page.run("part('filters').open")
    page.run("document.querySelector('.card').click()")
    page.wait("part('facts').innerText.includes('Settings')")
    assert page.run("view.scrollWidth <= view.clientWidth + 1")
    page.send("Emulation.clearDeviceMetricsOverride")


def test_nothing_is_asked_of_a_network_and_no_error_is_logged(page):
    page.run("document.querySelector('.card').click()")
    page.wait("part('facts').innerText.includes('Settings')")
    asked = [one for one in page.requests if not one.startswith(("file:", "about:"))]
    assert asked == []
    assert page.problems == []


def test_9600_metamers_are_filtered_in_a_blink(tmp_path):
    made_up.write(tmp_path / "gallery", made_up.run_of(400))
    with chromium.page(tmp_path) as page:
        runs = [made_up.measured(page, tmp_path / "gallery") for _ in range(4)]
    best = {name: min(run[name] for run in runs) for name in runs[0]}
    # The aim is 200 ms on a free machine (see the figures that made_up_gallery prints); the best
    # of four, and half as much again, is for machines that do other things besides.
    assert all(milliseconds < 300 for milliseconds in best.values()), best
