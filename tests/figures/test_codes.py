"""The pictures and the code explorer show the numbers that they are given."""

import json
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepid_lite.figures import codes as plots
from deepid_lite.figures import widgets
from deepid_lite.neurons import codes
from deepid_lite.studies import codes as code_tables
from deepid_lite.verification.pairs import make_pairs


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def study(scale, seed=0):
    """A dict as studies.codes makes it, of 32 simulated features of 16 neurons and their mirrors."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(40), 6)
    who = np.random.default_rng(9).standard_normal((40, 32))[labels]
    held_out, test = (np.maximum(who + 0.8 * rng.standard_normal(who.shape), 0).astype(np.float32) for _ in range(2))
    pairs, bits, sizes = make_pairs(labels, per_fold=30), test > 0, [8, 16, 32]
    gallery, queries = code_tables.search_split(labels)
    search = code_tables.searcher(test[queries] @ test[gallery].T, labels, gallery, queries)
    null = {
        "table": {"binary": code_tables.binary_row(held_out > 0.5, labels, test < 0.1, pairs)},
        "curve": code_tables.bits_curve(test > 2, [np.arange(32)], pairs, sizes),
        "search": search(test > 2),
    }
    tables = {"picture and mirror": (held_out, test), "picture": (held_out[:, :16], test[:, :16])}
    orders = {how: [codes.order_bits(held_out, how, s) for s in range(2)] for how in codes.ORDERS}
    curve = {how: code_tables.bits_curve(bits, order, pairs, sizes) for how, order in orders.items()}
    curve |= {"bits": sizes, "projections": code_tables.projections_curve(test, 0.0, pairs, sizes, 2)}
    return {
        "scale": scale,
        "bits": 32,
        "table": {views: code_tables.table_4(fit, labels, of_test, pairs) for views, (fit, of_test) in tables.items()},
        "curve": curve,
        "floats": code_tables.floats_curve(held_out, labels, test, pairs, (2, 8)),
        "search": {
            "gallery": len(gallery),
            "queries": len(queries),
            "candidates": code_tables.candidate_sizes(len(gallery)),
            "codes": search(bits),
            "real": search(None),
        },
        "nulls": {"untrained": null, "pixels": null},
    }


@pytest.fixture(scope="module")
def lite():
    return study("lite")


def drawn(ax):
    """Every line of an axis as {label: its data}, error bars too."""
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    return lines | {bars.get_label(): bars.lines[0].get_xdata() for bars in ax.containers}


def test_table_4(lite):
    fig = plots.figure_table_4(lite, study("reference", 1))
    assert [ax.get_title() for ax in fig.axes] == ["reference", "lite"]
    shown = drawn(fig.axes[1])
    table = lite["table"]["picture and mirror"]
    expected = [table[kind][way]["accuracy"] for kind, way in plots.CODE_ROWS]
    assert list(shown["net, picture and mirror"]) == expected
    nulls = [
        lite["nulls"][n]["table"]["binary"][way]
        for n in ("untrained", "pixels")
        for way in ("joint_bayesian", "hamming")
    ]
    assert list(shown["null, picture and mirror"]) == [null["accuracy"] for null in nulls]
    paper = next(line for line in fig.axes[0].lines if "paper" in str(line.get_label()))
    assert sorted(paper.get_xdata()) == [96.45, 97.67, 98.70]


def test_bits(lite):
    ax = plots.figure_bits(lite).axes[0]
    shown = drawn(ax)
    for name, label in plots.CODE_ORDERS.items():
        assert list(shown[label]) == lite["curve"][name]["accuracy"]
    assert sum("null" in label for label in shown) == 2
    assert [text.get_text() for text in ax.get_xticklabels()] == ["8", "16", "32"]


def test_bytes(lite):
    shown = drawn(plots.figure_bytes(lite).axes[0])
    assert list(shown["PCA as floats, Joint Bayesian"]) == lite["floats"]["accuracy"]
    line = next(line for line in plt.gca().lines if "as floats, cosine" in line.get_label())
    assert list(line.get_xdata()) == [64, 128]  # 16 and 32 numbers of four bytes
    line = next(line for line in plt.gca().lines if line.get_label() == "codes, Joint Bayesian")
    assert list(line.get_xdata()) == [2, 4]


def test_recall(lite):
    ax = plots.figure_recall(lite).axes[0]
    shown = drawn(ax)
    assert list(shown["right person among the C"]) == lite["search"]["codes"]["found"]
    assert list(shown["null: codes of the untrained net"]) == lite["nulls"]["untrained"]["search"]["found"]
    assert "200" in ax.get_xlabel()


def test_search_time():
    methods = ["codes, ours", "codes, faiss", "codes, then 50 by real features", "codes, 1 of 9 lists"]
    methods += ["codes, 4 of 9 lists", "real features, faiss"]
    rows = [{"method": m, "bytes": 64, "ms": 1.0 + i, "recall": 50.0 + i} for i, m in enumerate(methods)]
    ax = plots.figure_search_time({"rows": rows, "k": 10}).axes[0]
    points = sorted((x, y) for line in ax.lines for x, y in zip(*line.get_data(), strict=True))
    assert points == [(row["ms"], row["recall"]) for row in rows]
    assert sorted(len(line.get_xdata()) for line in ax.lines) == [1, 1, 2, 2]
    assert {text.get_text() for text in ax.texts} == {"ours", "faiss", "then 50", "1 of 9 lists", "4 of 9 lists"}


def test_the_code_explorer_holds_codes_names_and_threshold():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 144, 128, 3), dtype=np.uint8)
    features = rng.standard_normal((3, 512))
    html = widgets.codes_widget(images, features, np.array([7, 3, 7]), np.float64(150.5), start=(0, 2))
    data = json.loads(re.search(r'<script type="application/json" class="data">(.*?)</script>', html, re.S)[1])
    assert [face["name"] for face in data["faces"]] == [
        "person 1, picture 1",
        "person 2, picture 1",
        "person 1, picture 2",
    ]
    assert data["faces"][0]["person"] == data["faces"][2]["person"] != data["faces"][1]["person"]
    assert data["threshold"] == 150 and data["start"] == [0, 2]
    for face, row in zip(data["faces"], features, strict=True):
        code = "".join(f"{int(digit, 16):04b}" for digit in face["code"])
        assert code == "".join("01"[int(f > 0)] for f in row)
        assert face["image"].startswith("data:image/webp;base64,")
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", html)  # nothing is fetched
