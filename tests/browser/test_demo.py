"""The page "DeepID2+ in your browser": its numbers are the package's; it works by keyboard, offline, and as a still."""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepid_lite.faces import alignment as align
from deepid_lite.faces.regions import crop
from deepid_lite.faces.synthetic.people import FIRST_PERSON, draw, make_faces, sample_identity
from deepid_lite.neurons import codes, occlusion
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import face_features, pretrained
from deepid_lite.verification.pairs import Pairs, make_pairs

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
sys.path.insert(0, str(ROOT / "book" / "_tools"))
import demo_data  # noqa: E402
import web_packages  # noqa: E402

ONE = {"A": {"person": 2}, "B": {"person": 2}}
SETTINGS = {
    "as drawn": ONE,
    "turned, lit, glasses": {"A": {"person": 0, "yaw": -45, "light": 60}, "B": {"person": 7, "glasses": 3, "yaw": 15}},
    "dark and bright": {"A": {"person": 3, "brightness": 40}, "B": {"person": 3, "brightness": 180}},
    "covered": {"A": {"person": 1, "kind": "noise", "size": 55, "across": 20, "down": 85},
                "B": {"person": 6, "kind": "below", "size": 45}},
}  # fmt: skip
READ = """() => {
  const { frames, crops, features, ...rest } = deepid.demo.result;
  const text = list => { const bytes = new Uint8Array(list.buffer, list.byteOffset, list.byteLength);
    let s = ""; for (let k = 0; k < bytes.length; k += 4096) s += String.fromCharCode(...bytes.subarray(k, k + 4096));
    return btoa(s); };
  return { ...rest, frames: frames.map(f => text(f.data)), crops: crops.map(text), features: features.map(text) };
}"""


@pytest.fixture(scope="module")
def model():
    return pretrained("lite")


@pytest.fixture
def demo(page, address):
    """The page with its net running."""
    page.goto(f"{address}/browser.html")
    page.get_by_role("button", name="Run the net").click()
    page.wait_for_function("deepid.demo.result", timeout=60_000)
    return page


def look(page, settings=None):
    """The page's result under these settings (the rest as at the start), its pixels and features as arrays."""
    if settings:
        page.evaluate("""async wanted => {
            for (const [name, own] of Object.entries(wanted))
              deepid.demo.faces[name].set({...deepid.face.START, ...own});
            await deepid.demo.settled(); }""", settings)  # fmt: skip
    found = page.evaluate(READ)

    def numbers(key, kind, *shape):
        return np.stack([np.frombuffer(base64.b64decode(text), kind).reshape(shape) for text in found[key]])

    return found | {
        "frames": numbers("frames", np.uint8, *align.FRAME, 4)[..., :3],
        "crops": numbers("crops", np.uint8, 55, 47, 3),
        "features": numbers("features", "<f4", -1),
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_the_features_are_those_of_pytorch(demo, model, name):
    found = look(demo, SETTINGS[name])
    wanted = extract(model.net, found["crops"])
    assert wanted.shape == found["features"].shape == (2, 1024) and wanted.max() > 1
    assert np.abs(found["features"] - wanted).max() < 1e-4
    mirrored = extract(model.net, np.ascontiguousarray(found["crops"][:, :, ::-1]), flip=False)
    assert np.abs(found["features"][:, 512:] - mirrored).max() < 1e-4
    assert not demo.faults


@pytest.mark.parametrize("name", SETTINGS)
def test_the_crop_is_that_of_the_package(demo, name):
    found = look(demo, SETTINGS[name])
    off = np.abs(found["crops"].astype(int) - crop(found["frames"]))
    assert off.max() <= 1 and (off > 0).sum(axis=(1, 2, 3)).max() <= 3  # a mean halfway between two whole numbers


def test_drawn_faces_are_those_of_the_package(demo):
    found = look(demo, {"A": {"person": 4, "yaw": 30, "light": -60, "glasses": 2}, "B": {"person": 5}})
    wanted = [demo_data.frames(demo_data.PEOPLE[4], 30, -60, 2)[0], demo_data.frames(demo_data.PEOPLE[5], 0, 0, 0)[0]]
    off = np.abs(found["frames"].astype(int) - np.stack(wanted))
    assert off.mean() < 3  # the sheets are compressed
    other = np.abs(found["frames"][0].astype(int) - demo_data.frames(demo_data.PEOPLE[4], 30, -30, 2)[0])
    assert other.mean() > 2 * off[0].mean()  # the next light is another picture


def test_light_and_covers_do_what_they_say(demo):
    plain = look(demo, ONE)["frames"]
    below = {"person": 2, "kind": "below", "size": 40}
    found = look(demo, {"A": below, "B": {"person": 2, "brightness": 150}})["frames"]
    assert np.array_equal(found[0], occlusion.occlude_from_below(plain[:1], 0.4)[0])
    assert np.abs(found[1] - np.minimum(1.5 * plain[1], 255)).max() <= 0.5
    block = {"person": 2, "size": 30, "across": 100, "down": 0}
    found = look(demo, {"A": block | {"kind": "black"}, "B": block | {"kind": "grey"}})["frames"]
    side, right = occlusion.block_side(30), occlusion.LEFT + occlusion.WIDTH
    for frame, value in zip(found, (0, 128), strict=True):
        expected = plain[0].copy()
        expected[occlusion.TOP : occlusion.TOP + side, right - side : right] = value
        assert np.array_equal(frame, expected)


@pytest.mark.parametrize("settings", [ONE | {"B": {"person": 2, "yaw": 45}}, {"A": {"person": 0}, "B": {"person": 7}}])
def test_the_verdicts_are_those_of_the_package(demo, model, settings):
    found = look(demo, settings)
    pair = Pairs(np.array([0]), np.array([1]), np.array([True]), np.array([0]))
    scores = pair_scores(model, extract(model.net, found["crops"]), pair)
    assert found["ratio"] == pytest.approx(scores["joint_bayesian"][0], abs=5e-3)
    bits = found["features"][:, :512] > 0
    assert found["distance"] == (bits[0] ^ bits[1]).sum() and found["active"] == bits.sum(1).tolist()
    facts = demo.evaluate("fetch('_static/demo/demo.json').then(answer => answer.json())")
    same = settings["A"]["person"] == settings["B"]["person"]
    assert found["same"] == {"ratio": same, "hamming": same}
    limits = facts["thresholds"]
    assert (found["ratio"] > limits["ratio"]) == same == (found["distance"] <= limits["hamming"])
    demo.get_by_text("hexadecimal").click()
    shown = demo.locator(".demo-code").all_inner_texts()
    assert shown == [f"{name}: {row.tobytes().hex()}" for name, row in zip("AB", codes.pack(bits), strict=True)]
    expected = "same person" if same else "two people"
    demo.wait_for_function("text => document.querySelector('.demo-say').textContent.includes(text)",
                           arg=f"{'one person' if same else 'two people'}: both verdicts are right.")  # fmt: skip
    assert demo.locator(".demo-says").first.inner_text().startswith(expected)


def test_the_histograms_say_how_usual_the_pair_is(demo):
    """They hold all pairs that the thresholds were chosen on; the words under them follow the pair."""
    facts = demo.evaluate("fetch('_static/demo/demo.json').then(answer => answer.json())")
    for key, others in facts["others"].items():
        assert [sum(others[kind]) for kind in ("same", "two")] == pytest.approx([100, 100], abs=0.5)
        edges = np.linspace(others["from"], others["to"], len(others["same"]) + 1)
        beyond = np.array(others["same"])[edges[:-1] > facts["thresholds"][key]].sum()
        right = beyond if key == "ratio" else 100 - beyond
        assert right == pytest.approx(facts["accuracy"][key], abs=5)

    def told():
        labels = [each.get_attribute("aria-label") for each in demo.locator(".demo-maps canvas").all()]
        return [label for label in labels if "among others" in label]

    look(demo, ONE)
    assert all("one person 100 % look less alike" in label and "two people less than 1 %" in label for label in told())
    look(demo, {"A": {"person": 0}, "B": {"person": 7}})
    assert all("one person less than 1 % look less alike" in label for label in told())


def test_the_still_shows_what_the_page_shows_first(demo):
    facts = demo.evaluate("fetch('_static/demo/demo.json').then(answer => answer.json())")
    found = look(demo)
    assert found["ratio"] == pytest.approx(facts["still"]["ratio"], abs=0.1)
    assert abs(found["distance"] - facts["still"]["distance"]) <= 1 and found["active"] == pytest.approx(
        facts["still"]["active"], abs=1
    )


def test_the_thresholds_hold_for_people_of_the_test_part(demo, model):
    limits = demo.evaluate("fetch('_static/demo/demo.json').then(answer => answer.json())")["thresholds"]
    faces = make_faces(60, 6, first_person=FIRST_PERSON["test"])
    images = np.stack([align.align(*face) for face in zip(faces.images, faces.landmarks, strict=True)])
    features, pairs = face_features(model, images), make_pairs(faces.labels, per_fold=60)
    active = features[:, :512] > 0
    same = {"ratio": pair_scores(model, features, pairs)["joint_bayesian"] > limits["ratio"],
            "hamming": (active[pairs.first] ^ active[pairs.second]).sum(1) <= limits["hamming"]}  # fmt: skip
    assert min((says == pairs.same).mean() for says in same.values()) > 0.93


def photograph(size, scale, angle):
    """An unaligned drawing in a larger picture, as PNG, with its landmarks: what a reader would choose."""
    image, points = draw(sample_identity(20_011), yaw=10, glasses=1)
    picture = Image.new("RGB", (size + 40, size), (90, 140, 110))
    picture.paste(Image.fromarray(image[0]).resize((int(128 * scale), int(144 * scale))), (50, 30))  # may stick out
    picture = picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(90, 140, 110))
    centre, turn = np.array([(size + 40) / 2, size / 2]), np.deg2rad(-angle)
    points = points[0] * scale + [50, 30] - centre
    points = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + centre
    data = io.BytesIO()
    picture.save(data, "PNG")
    return np.asarray(picture), points, data.getvalue()


def choose_own(page, data, name="me.png", kind="image/png"):
    face = page.get_by_role("region", name="Face B")
    face.get_by_role("combobox", name="Who").select_option("own")
    face.get_by_label("Picture for face B").set_input_files({"name": name, "mimeType": kind, "buffer": data})
    return face


@pytest.mark.parametrize("size, scale, angle", [(400, 1.6, 12), (1500, 6.5, -20), (220, 1.45, 0)])
def test_an_own_picture_is_aligned_as_in_the_package(demo, size, scale, angle):
    picture, points, data = photograph(size, scale, angle)
    face = choose_own(demo, data)
    stage = face.locator(".demo-stage canvas")
    stage.wait_for()
    assert not demo.get_by_role("heading", name="What the net says").is_visible(), "no verdict before the points"
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    on_screen = points / picture.shape[1::-1] * [box["width"], box["height"]] + [box["x"], box["y"]]
    for place in on_screen:  # also where a marker lies already
        demo.mouse.click(*place)
    demo.evaluate("deepid.demo.settled()")
    assert demo.get_by_role("heading", name="What the net says").is_visible()
    placed = np.array(demo.evaluate("deepid.demo.faces.B.points()"))
    assert np.abs(placed - points).max() < 2 * size / 300  # a click is as fine as the screen
    demo.mouse.move(*on_screen[2])
    demo.mouse.down()
    demo.mouse.move(*(on_screen[2] + [20, -10]), steps=3)
    demo.mouse.up()
    demo.evaluate("deepid.demo.settled()")
    dragged = np.array(demo.evaluate("deepid.demo.faces.B.points()"))
    assert np.array_equal(dragged[[0, 1, 3, 4]], placed[[0, 1, 3, 4]]) and dragged[2, 0] > placed[2, 0] + 5
    placed = dragged
    frame = look(demo)["frames"][1]
    off = np.abs(frame.astype(int) - align.align(picture, placed))
    assert off.max() <= 1 and off.mean() < 0.1
    assert face.get_by_text("The file stays on this machine").is_visible()
    assert not demo.faults


def test_nothing_is_sent_anywhere(demo):
    """After the start the page makes no request at all, an own picture included; so it also works offline."""
    requests = []
    demo.on("request", lambda request: requests.append((request.method, request.url)))
    demo.context.set_offline(True)
    before = look(demo)
    changed = look(demo, {"A": {"person": 6, "yaw": 45}, "B": {"person": 1, "glasses": 1}})
    assert changed["distance"] != before["distance"]
    _, _, data = photograph(400, 1.6, 0)
    choose_own(demo, data).locator(".demo-stage canvas").wait_for()
    demo.evaluate("deepid.demo.settled()")
    assert not np.array_equal(look(demo)["crops"][1], changed["crops"][1])
    assert [one for one in requests if not one[1].startswith(("blob:", "data:"))] == []


def test_wrong_files_get_an_answer(demo):
    face = choose_own(demo, b"no picture", "notes.txt", "text/plain")
    problem = face.get_by_role("alert")
    problem.filter(has_text="notes.txt").wait_for()
    assert "no picture that this browser reads" in problem.inner_text()
    demo.wait_for_function("document.querySelector('.demo-say').textContent.includes('Face B: choose a picture')")
    assert not demo.get_by_role("heading", name="What the net says").is_visible()  # no verdict on an older face


def test_everything_answers_to_the_keyboard(page, address):
    page.goto(f"{address}/browser.html")
    page.get_by_role("button", name="Run the net").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("deepid.demo.result", timeout=60_000)
    first = look(page)
    face = page.get_by_role("region", name="Face B")
    slider = face.get_by_role("slider", name="Head turned")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.evaluate("deepid.demo.settled()")
    assert slider.get_attribute("aria-valuetext") == "15° to the right"
    second = look(page)
    assert not np.array_equal(first["features"][1], second["features"][1])
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("deepid.demo.faces.B.state.light") == 30
    face.get_by_role("combobox", name="Glasses").focus()
    page.keyboard.press("d")  # "dark"
    assert page.evaluate("deepid.demo.faces.B.state.glasses") == 3
    _, _, data = photograph(400, 1.6, 0)
    choose_own(page, data)
    marker = page.get_by_role("button", name="left eye")
    marker.focus()
    page.evaluate("deepid.demo.settled()")
    before, frame = page.evaluate("deepid.demo.faces.B.points()"), look(page)["frames"][1]
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    page.evaluate("deepid.demo.settled()")
    after = page.evaluate("deepid.demo.faces.B.points()")
    assert after[1:] == before[1:] and after[0][0] - before[0][0] == pytest.approx(11) and after[0][1] > before[0][1]
    assert not np.array_equal(frame, look(page)["frames"][1])
    for _ in range(4):
        page.keyboard.press("Tab")
    assert "right corner of the mouth" in page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_the_experiments_end_as_the_page_says(demo):
    def attempt(label):
        demo.get_by_role("button", name=label).press("Enter")
        demo.evaluate("deepid.demo.settled()")
        return look(demo)

    turned = attempt("B turned by 45°")
    assert turned["same"] == {"ratio": True, "hamming": True} and 90 <= turned["distance"] <= 110
    steps = [look(demo, ONE | {"B": {"person": 2, "yaw": yaw}})["distance"] for yaw in (0, 15, 30, 45)]
    assert steps == sorted(steps) and steps[0] == 0
    strangers = [look(demo, {"A": {"person": 2}, "B": {"person": p}})["distance"] for p in (0, 1, 3, 4, 5, 6, 7)]
    assert sum(distance >= 2 * turned["distance"] for distance in strangers) >= 4
    lit = [look(demo, ONE | {"B": {"person": 2, "light": light}}) for light in (-60, 60)]
    assert all(one["same"] == {"ratio": True, "hamming": True} for one in lit)
    assert max(one["distance"] for one in lit) < turned["distance"]
    assert attempt("B overexposed")["same"] == {"ratio": False, "hamming": False}
    for brightness, right in ((10, False), (50, True), (200, True)):
        found = look(demo, {"A": {"person": 4}, "B": {"person": 4, "brightness": brightness}})
        assert found["same"] == {"ratio": right, "hamming": right}, brightness
    assert attempt("dark glasses")["same"] == {"ratio": True, "hamming": False}
    for person in (0, 1, 2, 3, 5, 6, 7):
        found = look(demo, {"A": {"person": person}, "B": {"person": person, "glasses": 3}})
        assert found["same"] == {"ratio": True, "hamming": True}, person
    assert attempt("half of B covered")["same"] == {"ratio": False, "hamming": False}
    for share in range(0, 36, 5):
        found = look(demo, {"A": {"person": 5}, "B": {"person": 5, "kind": "below", "size": share}})
        assert found["same"] == {"ratio": True, "hamming": True}, share
    assert attempt("two people whom the net confuses")["same"] == {"ratio": True, "hamming": True}
    for yaw in (-45, -30, -15, 15, 30, 45):
        double = look(demo, {"A": {"person": 2, "yaw": yaw}, "B": {"person": 4, "yaw": yaw}})
        assert double["same"] == {"ratio": True, "hamming": True}, yaw
    rims = look(demo, {"A": {"person": 2}, "B": {"person": 4, "glasses": 2}})
    assert not rims["same"]["hamming"]


@pytest.mark.parametrize("dark", [False, True])
def test_the_running_page_is_accessible_and_fits_a_phone(demo, dark):
    demo.set_viewport_size({"width": 375, "height": 800})
    if dark:
        demo.emulate_media(color_scheme="dark")
    _, _, data = photograph(400, 1.6, 0)
    choose_own(demo, data).locator(".demo-stage canvas").wait_for()
    demo.evaluate("deepid.demo.faces.A.set({ kind: 'grey' })")
    demo.evaluate("deepid.demo.settled()")
    assert demo.evaluate("document.documentElement.scrollWidth") <= 375
    demo.add_script_tag(path=web_packages.folder() / "axe-core" / "axe.min.js")
    found = demo.evaluate("axe.run('#deepid-demo')")["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_verdicts_stay_in_sight_on_a_phone(demo):
    demo.set_viewport_size({"width": 375, "height": 800})
    slider = demo.get_by_role("region", name="Face B").get_by_role("slider", name="Head turned")
    slider.scroll_into_view_if_needed()
    for title in ("Log-likelihood ratio", "Hamming distance"):
        box = demo.locator(".demo-card", has_text=title).bounding_box()
        assert 0 <= box["y"] and box["y"] + box["height"] <= 800


def still_only(page, text):
    assert page.get_by_role("img", name="Two drawn pictures of one person").is_visible()
    assert text in page.locator(".demo-say").inner_text()
    assert page.locator("#deepid-demo button:visible, .demo-try:visible").count() == 0
    assert [fault for fault in page.faults if not fault.startswith("foreign: file://")] == []


def test_without_webassembly_it_is_a_still_picture(page, address):
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(f"{address}/browser.html")
    still_only(page, "WebAssembly is switched off")


def test_opened_as_a_file_it_is_a_still_picture(page):
    page.goto((HTML / "browser.html").as_uri())
    page.get_by_text("python -m http.server in it").wait_for()
    still_only(page, "python -m http.server")


def test_without_its_files_it_stays_a_still_picture(page, address):
    page.route("**/net.onnx", lambda route: route.fulfill(status=404))
    page.goto(f"{address}/browser.html")
    page.get_by_role("button", name="Run the net").click()
    page.get_by_text("The net could not be started. net.onnx is missing").wait_for()
    assert page.get_by_role("img", name="Two drawn pictures of one person").is_visible()


def test_the_lock_has_checksums_and_no_addresses():
    packages = json.loads(web_packages.LISTS[1].read_text())["packages"]
    named = {name: entry for name, entry in packages.items() if name}
    assert {"node_modules/onnxruntime-web", "node_modules/axe-core"} <= set(named)
    assert all(entry["integrity"].startswith("sha512-") and "resolved" not in entry for entry in named.values())


def test_what_is_missing_for_the_packages_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")  # nobody answers there
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(web_packages.PackagesMissing, match=r"^npm ci failed \(.*ECONNREFUSED.*\): check the network"):
        web_packages.folder(tmp_path / "web")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(web_packages.PackagesMissing, match=r"^npm is not installed: .*$"):
        web_packages.folder(tmp_path / "web")
    assert not (tmp_path / "web" / "installed").exists()
