"""A chapter that quotes a record reads it, so that its numbers are those of the record."""

import re
from pathlib import Path

import numpy as np

import deepid_lite.papers.canonical
import deepid_lite.papers.multiview
import deepid_lite.papers.relational  # noqa: F401 - they register their claims
from deepid_lite.papers.attributes import study as attributes
from deepid_lite.papers.sparse_connections import study as sparse
from deepid_lite.registry import CLAIMS
from deepid_lite.results import load_result
from deepid_lite.studies.comparisons import against
from deepid_lite.studies.judging import judge

BOOK = Path(__file__).resolve().parents[2] / "book"


def said(chapter: str) -> str:
    return " ".join((BOOK / f"{chapter}.md").read_text(encoding="utf-8").split())


def test_the_chapters_that_quote_records_load_them():
    """A typed number would stay behind when the study is run again."""
    for chapter, names in {
        "03_architecture": ("layers", "sharing", "recipes", "lfw_view2"),
        "04_losses": ("signals", "lambda"),
        "05_training": ("recipes", "lfw_view2"),
        "06_joint_bayesian": ("signals", "lfw_view2"),
        "07_measuring": ("lfw_view2",),
    }.items():
        assert [name for name in names if f'"{name}"' not in said(chapter)] == []


def test_what_chapter_12_says_of_the_ensemble():
    """Its sentences on the reference record have no numbers; these are what they say."""
    record, shipped = load_result("ensemble_five"), load_result("lfw_view2")
    one, every = (record["curves"]["table"][at] for at in (0, -1))
    views = [record["null"]["views"][at] for at in (0, -1)]

    def gain(points, way):
        first, last = (point[way]["accuracy"] for point in points)
        return (last - first) / (100 - first)

    real, hamming = "real joint_bayesian", "binary hamming"
    assert gain((one, every), real) > gain(views, real), "different views carry some of the gain"
    assert gain((one, every), hamming) <= gain(views, hamming), "by Hamming distance no more than the views"
    assert gain((one, every), real) < 0.3, "our few nets remove a small part"
    assert every["binary joint_bayesian"]["accuracy"] >= every[real]["accuracy"], "codes of all nets lose nothing"
    assert shipped["accuracy"] > every[real]["accuracy"] - 0.5, "one net trained well is a good rival"
    for key in ("rank1", "dir_at_1_far"):
        found = [part["identification"][key] for part in (record["null"], shipped, record["system"])]
        assert found == sorted(found), "the ensemble beats its first net, and the shipped net by less"


def test_what_chapters_7_9_and_12_say_of_eight_nets():
    """A point more than one net, by Joint Bayesian alone; codes cost less; far below the shipped net."""
    record, shipped = load_result("ensemble"), load_result("lfw_view2")
    table, greedy, views = record["curves"]["table"], record["curves"]["greedy"], record["null"]["views"]
    real, hamming = ([point[way]["accuracy"] for point in table] for way in ("real joint_bayesian", "binary hamming"))
    assert all(net["epochs"] == 2 and net["people"] == 7907 for net in record["nets"].values())
    assert 0.8 < real[-1] - real[0] < 1.4 and shipped["accuracy"] > real[-1] + 10
    assert abs(views[-1]["real joint_bayesian"]["accuracy"] - real[0]) < 0.2
    assert abs(hamming[-1] - hamming[0]) < 0.2 and abs(views[-1]["binary hamming"]["accuracy"] - hamming[0]) < 0.6
    assert table[-1]["validation"] > table[0]["validation"] + 3 and greedy[1]["validation"] > table[1]["validation"] + 1
    rows = {v.claim.name: v for v in judge("reference")}
    assert rows["C17"].more == "yes" and rows["C4"].more == "inconclusive" and rows["C18"].more == "no"
    assert shipped["identification"]["rank1"] > 5 * record["system"]["identification"]["rank1"]
    lost = [rows["C30"].difference["40 %"]["points"], rows["C31"].difference["points"]]
    assert all(d.high < 0 for d in lost), "together they lose more than the first alone"


def test_what_chapters_4_and_13_say_of_lambda():
    """A large weight harms and verification alone is far behind; what held-out people gain LFW lacks."""
    record = load_result("lambda")
    joint, distance = (
        against(record, "identification only", kind, n_draws=2000) for kind in ("joint_bayesian", "euclidean")
    )
    for found in (joint, distance):
        assert found["5"].high < 0 and found["verification only"].high < -2
    assert all(joint[name].low < 0 < joint[name].high for name in ("0.005", "0.05", "0.5"))
    assert distance["0.5"].low > 0 and distance["0.5"].points == max(d.points for d in distance.values())
    held_out = {
        name: np.mean([run["held_out"]["FC-4"]["accuracy"]["joint_bayesian"] for run in found["runs"].values()])
        for name, found in record["variants"].items()
    }
    assert max(held_out, key=held_out.get) == "0.5" and 0.4 < held_out["0.5"] - held_out["identification only"] < 0.7
    within = [
        np.mean([run["held_out"]["FC-4"]["spectra"]["within"]["first_ten"] for run in found["runs"].values()])
        for found in (record["variants"][name] for name in ("identification only", "0.5"))
    ]
    assert 45 < within[0] < 55 and within[1] - within[0] > 4


def test_what_chapters_4_6_and_13_say_of_the_signals():
    """By distance the pull gains and the push does not; by Joint Bayesian no two signals can be told apart."""
    record = load_result("signals")
    distance = against(record, "none", "euclidean", n_draws=2000)
    assert all(distance[name].low > 0 and 1 < distance[name].points < 1.6 for name in ("L2", "L2+"))
    assert distance["L2-"].low < 0 < distance["L2-"].high and abs(distance["L2-"].points) < 0.2
    for name in record["variants"]:
        found = against(record, name, n_draws=2000).values()
        assert all(d.low < 0 < d.high for d in found)
        assert name != "none" or all(d.high < 1.2 for d in found)
    gains = {}
    for name in ("none", "L2"):
        accuracy = record["variants"][name]["layers"]["FC-4"]["accuracy"]
        gains[name] = accuracy["joint_bayesian"] - accuracy["euclidean"]
    assert gains["none"] - gains["L2"] > 1, "with the signal Joint Bayesian adds less"


def test_what_chapters_3_and_13_say_of_local_sharing():
    """Each net with plain convolutions is behind, by more than a point on average, and was as long in training."""
    record = load_result("sharing")
    plain, local = (record["variants"][name] for name in ("plain convolution", "local sharing"))
    found = against(record, "local sharing", n_draws=2000)["plain convolution"]
    assert found.high < 0 and found.points < -1
    accuracy = [
        [run["test"]["FC-4"]["accuracy"]["joint_bayesian"] for run in v["runs"].values()] for v in (plain, local)
    ]
    assert np.all(np.array(accuracy[0]) < np.array(accuracy[1]))
    assert abs(plain["minutes"] / local["minutes"] - 1) < 0.1


def test_what_chapters_3_and_13_say_of_layers():
    """Less width is worse, if barely; signals lift FC-1 and FC-2 alone; nets on fewer people were not trained."""
    record = load_result("layers")
    assert set(record["variants"]) == {"DeepID2+", "no layer-wise supervision", "smaller net"}
    found = against(record, "DeepID2+", n_draws=2000)
    assert -0.5 < found["smaller net"].high < 0
    assert found["no layer-wise supervision"].low < 0 < found["no layer-wise supervision"].high
    of_layer = {
        name: {layer: v["accuracy"]["joint_bayesian"] for layer, v in variant["layers"].items()}
        for name, variant in record["variants"].items()
    }
    whole, alone, small = of_layer.values()
    untrained = {layer: v["accuracy"]["joint_bayesian"] for layer, v in record["null"]["untrained"].items()}
    assert whole["FC-1"] - alone["FC-1"] > 3 and whole["FC-2"] - alone["FC-2"] > 2
    assert abs(alone["FC-1"] - untrained["FC-1"]) < 1 and all(small[layer] < whole[layer] for layer in whole)
    runs = [
        [run["test"]["FC-4"]["accuracy"]["joint_bayesian"] for run in record["variants"][name]["runs"].values()]
        for name in ("DeepID2+", "no layer-wise supervision")
    ]
    assert np.ptp(runs[1]) > abs(np.mean(runs[0]) - np.mean(runs[1]))


def test_what_chapter_15_says_of_pairs_at_both_scales():
    """Which answers are clear, what joining is worth, how often a person was looked at, and that ours is far below."""
    claims = [claim for claim in CLAIMS.values() if claim.study == "relational"]
    real, lite = ({v.claim.name: v for v in judge(scale, claims=claims)} for scale in ("reference", "lite"))
    assert {name for name, v in real.items() if v.more == "yes"} == {"R1", "R2", "R3"}
    assert {name for name, v in lite.items() if v.more == "yes"} == {"R1", "R2", "R9"}
    assert {v.more for v in (*real.values(), *lite.values())} == {"yes", "inconclusive"}
    assert real["R3"].difference.value < 1 and real["R9"].difference.value < 0
    assert 0.8 < real["R5"].difference.value < 1.3 and abs(real["R6"].difference.value) < 0.1
    assert all(2.5 < v["R8"].difference.value < 4 and -0.3 < v["R8"].difference.low < 0 for v in (real, lite))
    record, drawn = load_result("relational"), load_result("relational", "lite")
    mean = {name: of_name[0] for name, of_name in record["accuracy"].items()}
    assert mean["one group"] > mean["two nets"], "the whole face is better than the regions on average"
    for joined in ("RBM", "logistic"):
        assert 1.5 < mean[f"features, {joined}"] - mean[joined] < 2.5
    assert max(mean.values()) + 10 < load_result("lfw_view2")["accuracy"]
    for of_scale, people, looks in ((drawn, 600, 70), (record, 7907, 12)):
        share = of_scale["multiply_adds"]["pair, meet first"] / of_scale["multiply_adds"]["one face"]
        faces = share * of_scale["steps"] * of_scale["recipe"]["batch_size"]
        assert of_scale["people"] == people and abs(faces / people - looks) < 0.05 * looks
    assert 11.5 < record["steps"] / 83 < 12.5 and 7 <= drawn["steps"] / 83 < 8
    longer = {name: of[-1][0] - of[-2][0] for name, of in load_result("relational_length")["accuracy"].items()}
    assert 3.5 < longer["one mode"] < 4.5 and 1.5 < longer["eight modes"] < 2.5
    assert min(of["accuracy"] for of in record["authors"].values()) > mean["RBM, fine-tuned"] + 15
    n_nets = 3 * (3 * 2 + 2)
    assert 0.4 < record["training_minutes"] / n_nets < 0.7, "about half a minute for each net"


def test_what_chapter_16_says_of_starts_and_pictures():
    """Equal pictures and unequal features; symmetry alone finds the front; pixels are good, landmark LBP is not."""
    record = load_result("canonical_view", "lite")
    mean = {name: found["mean"] for name, found in record["rank1"].items()}
    drawn = {name: found["error"]["mean"] for name, found in record["pictures"].items()}
    assert drawn["random start"][0] - drawn["FIP"][0] < 0.5 and mean["random start"][2] < mean["FIP"][1]
    assert drawn["FIP"][2] < drawn["least squares alone"][1] < drawn["mean frontal face"][1]
    assert mean["landmark LBP"][0] < mean["LBP"][0] < mean["raw"][0] < mean["FIP"][0]
    chosen = {name: found["mean"] for name, found in record["chosen"].items()}
    assert chosen["symmetry alone"] == chosen["symmetry and rank"]
    assert chosen["symmetry alone"][2] < 5 < chosen["rank alone"][1]
    chosen = {name: found["mean"] for name, found in load_result("frontal_choice")["chosen"].items()}
    assert (
        chosen["symmetry and rank"][2] < chosen["any picture"][1] / 2
        and chosen["rank alone"][2] > chosen["any picture"][1]
    )
    assert chosen["symmetry and rank"][0] < chosen["symmetry alone"][0] < chosen["symmetry and rank"][2]


def test_what_chapter_17_says_of_layers_and_views():
    """h2 leads, most at the sides; the angle is no triumph; of unseen views the inner neighbours are beaten alone."""
    record = load_result("multiview", "lite")
    mean = {name: found["mean"][0] for name, found in record["rank1"].items()}
    assert max(mean, key=mean.get) == "MVP, h2" and mean["frontal target, h2"] < mean["identification, h2"]
    drawn, named = (np.array(record["rank1"][f"{name}, h2"]["views"])[:, 0] for name in ("MVP", "identification"))
    lead = drawn - named
    assert lead[[0, 8]].min() > 9 and np.abs(lead[3:6]).max() < 2
    error = {name: found["mean"] for name, found in record["view error"].items()}
    assert error["ridge on pixels"][0] < error["MVP"][0] < 9
    for view in (-45, -15, 15, 45):
        outer, inner = ("left", "right") if view < 0 else ("right", "left")
        at = record["views"].index(view)
        error, right = ({name: found[key]["views"][at] for name, found in record["drawn"].items()}
                        for key in ("error", "right"))  # fmt: skip
        assert error["mean of the neighbours"][0] < error["MVP, five views"][0] < error[f"{inner} neighbour"][0]
        level = abs(error[f"{outer} neighbour"][0] - error["MVP, five views"][0]) < 0.5
        assert level == (abs(view) == 15)
        assert right["MVP, five views"][0] < min(right[f"{side} neighbour"][0] for side in ("left", "right"))
    grown = {name: {int(n): found["mean"][0] for n, found in of_net.items()}
             for name, of_net in load_result("lengths", "lite")["rank1"].items()}  # fmt: skip
    name = grown.pop("identification")
    assert max(name.values()) - name[50] < 1.5
    assert all(max(of_net.values()) - of_net[50] > 5 for of_net in grown.values())


def test_the_page_of_rules_has_both_verdicts_on_the_perceptron():
    """The second column is what the record gives; of several differences the worst is printed."""
    page = (BOOK / "rules.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (M\d), .*\| ([^|]*) \|$", page, re.M))
    for verdict in judge("lite", claims=[CLAIMS[f"M{n}"] for n in range(1, 7)]):
        found = verdict.difference
        if isinstance(found, dict):
            found = min(found.values(), key=lambda one: one.low)
        text = f"*{verdict.more}*: {found.value:+.1f} ({found.low:.1f} to {found.high:.1f})".replace("-", "−")
        assert rows[verdict.claim.name] == text


def test_what_chapter_17_says_of_targets():
    """All views lead the name; the bit is too little; architectures differ more; one sample draws badly."""
    taught = load_result("supervision", "lite")
    mean = {name: found["mean"] for name, found in taught["rank1"].items()}
    value = {name: found[0] for name, found in mean.items()}
    assert value["pair"] + 30 < value["frontal picture"] < value["name"] < value["all views"] < value["DeepID2+"]
    assert value["name and pair"] <= value["name"] and mean["DeepID2+"][1] > mean["name and pair"][2]
    h2 = {name: found["h2"] for name, found in taught["rank1"].items() if "h2" in found}
    assert h2["name"][0] > 80 and 11 < h2["all views"][0] < 14 and 60 < h2["all views"][1] < 70 and h2["pair"][1] > 50
    one, own, many = (taught["ablations"][name] for name in ("S = 1", "S = 8, K = 2", "S = 20"))
    assert one["drawn"][1] > many["drawn"][2] and one["view error"][1] > 2 * many["view error"][2]
    assert one["rank1"][2] > own["rank1"][0], "features of the net that cannot draw the view are nearly as good"
    answers = {v.claim.name: v.more for v in judge("lite", claims=[CLAIMS[f"M{n}"] for n in range(1, 7)])}
    assert {name for name, answer in answers.items() if answer == "yes"} == {"M1", "M6"}
    first = load_result("studios", "lite")["studios"]
    for name, rates in first.items():
        ahead = rates["all views"]["mean"][0] > rates["name"]["mean"][0]
        assert ahead == (name == "three times the steps")


def test_what_chapter_18_says_of_cuts_and_choices():
    """Correlations beat chance and nothing else; the upper layers cost most; extra passes help the dense net."""
    record = load_result("sparse_connections", "lite")
    mean = {name: found[0] for name, found in record["accuracy"].items()}
    named = {name: np.mean([run[name]["named"] for run in record["runs"]]) for name in mean}
    assert mean["random"] < mean["12 %"] < mean["strongest"] < mean["magnitude"] < mean["dense"] < mean["none"]
    assert mean["12 %"] < mean["scratch"]
    assert mean["dense"] - mean["76 %"] > 2 * (mean["76 %"] - mean["12 %"]), "most is lost in the small upper layers"
    assert named["none"] > named["dense"] > 0.85 and named["12 %"] < 0.7, "the sparse ones know too little"
    answers = [verdict.more for verdict in judge("lite", claims=sparse.CLAIMS)]
    assert answers == ["no", "no", "yes", "no", "no", "no"]
    times = record["size"]["milliseconds"].values()
    assert all(1.5 < time["dense"] / time["sparse"] < 4 for time in times), "a factor of two to three, not eight"


def test_what_chapter_18_says_of_photographs():
    """The largest weights stay within about a point of the dense net; the paper's choice loses seven."""
    record = load_result("sparse_connections")
    mean = {name: found[0] for name, found in record["accuracy"].items()}
    named = {name: np.mean([run[name]["named"] for run in record["runs"]]) for name in mean}
    assert 0.5 < mean["none"] - mean["magnitude"] < 1.5 and 6.5 < mean["dense"] - mean["12 %"] < 7.5
    assert mean["dense"] - mean["76 %"] > (mean["dense"] - mean["12 %"]) / 2, "more than half in the upper layers"
    assert abs(named["magnitude"] - 5 / 6) < 0.02 and 0.45 < named["12 %"] < 0.55
    answers = [verdict.more for verdict in judge("reference", claims=sparse.CLAIMS)]
    assert answers == ["no", "no", "inconclusive", "inconclusive", "no", "no"]


def test_what_chapter_19_says_of_rows():
    """From scratch is best at both scales, the untrained net is at the slide's 83 %, two claims of five hold."""
    for scale, a4 in (("reference", "inconclusive"), ("lite", "yes")):
        record = load_result("attribute_nets", scale)
        mean = {name: found[0] for name, found in record["accuracy"].items()}
        assert max(mean, key=mean.get) == "from scratch"
        assert 0.3 < mean["fine-tuned"] - mean["identity, directly"] < 0.8, "about half a point"
        answers = [verdict.more for verdict in judge(scale, claims=attributes.CLAIMS)]
        assert answers == ["no", "no", "yes", a4, "yes"]
    photographs = load_result("attribute_nets")
    assert round(photographs["accuracy"]["untrained"][0]) == attributes.SLIDE["from scratch"][0]
    assert photographs["accuracy"]["HOG and colour"][0] > attributes.SLIDE["HOG and colour"][0] + 4
    assert photographs["people"]["nets"] == 155
    gap = {name: scratch - identity for name, scratch, identity in zip(
        photographs["names"], *(photographs["by_attribute"][kind] for kind in ("from scratch", "identity, directly")),
        strict=True)}  # fmt: skip
    widest = sorted(gap, key=gap.get)[-4:]
    assert {"Smiling", "Mouth_Slightly_Open"} <= set(widest) and gap["Male"] < 2


def test_what_chapter_16_says_of_photographs():
    """The chosen picture is the weaker target there: behind LBP, the pixels and the name."""
    record = load_result("canonical_photographs")
    mean = {name: found["mean"][0] for name, found in record["verification"].items()}
    assert 6.5 < mean["LBP"] - mean["FIP"] < 7.5 and 3.5 < mean["identification"] - mean["FIP"] < 4.5
    assert mean["raw"] > mean["FIP"] and abs(mean["net of drawn people"] - mean["untrained"]) < 0.5
    umist = {name: found["mean"][0] for name, found in record["umist"].items()}
    assert umist["FIP"] < umist["LBP"] and umist["FIP"] < umist["identification"]
    drawn = {name: found["error"] for name, found in record["pictures"].items()}
    assert drawn["FIP"][2] < drawn["mean frontal face"][1] and drawn["FIP"][2] < drawn["the input"][1]
    assert record["pictures"]["FIP"]["right"][0] < 1
    answers = {name: judge("reference", claims=[CLAIMS[name]])[0].more for name in ("F6", "F7", "F8", "F9", "F10")}
    assert answers == {"F6": "no", "F7": "no", "F8": "yes", "F9": "yes", "F10": "no"}
    assert record["recipe"]["epochs"] * (record["images"]["learn"] // record["recipe"]["batch_size"]) == 1275, "steps"


def test_what_chapter_17_says_of_time():
    """In the first look only three times the steps put all views ahead of the name."""
    means = {name: {target: rates[target]["mean"][0] for target in ("name", "frontal picture", "all views", "raw")}
             for name, rates in load_result("studios", "lite")["studios"].items()}  # fmt: skip
    longer = means.pop("three times the steps")
    assert longer["all views"] > longer["name"] > longer["frontal picture"] > longer["raw"]
    assert all(rates["name"] > max(rates["frontal picture"], rates["all views"]) for rates in means.values())


def test_what_chapter_14_says_first():
    """Its short answer is typed; these are the rows that it sums up."""
    rows = {v.claim.name: v for v in judge("reference")}

    def all_are(answer, *names):
        return [name for name in names if rows[name].more != answer] == []

    def nulls(name):  # what the untrained net has, at each place
        return [ours.value + rows[name].difference[place].value for place, ours in rows[name].ours.items()]

    assert (rows["C1"].number, rows["C1"].more) == ("missed", "no")
    assert 0.17 < load_result("lfw_view2")["net"]["images"] / 290_000 < 0.25, "about a fifth of the paper's images"
    active = [ours.value for ours in rows["C9"].ours.values()]
    assert rows["C9"].number == "passed" and all(40 < value < 43 for value in active)
    assert all(abs(null - 50) < 1 for null in nulls("C9")), "an untrained net has one in two"
    assert all_are("no", "C10", "C11"), "its neurons and images differ less"
    assert all_are("yes", "C13", "C14", "C19", "C20", "C21", "C22", "C29", "C32")
    assert all_are("inconclusive", "C23", "C24")
    assert {rows[name].number for name in ("C19", "C20", "C24")} == {"missed"}
    assert all_are("no", "C27", "C28") and rows["C26"].more != "yes", "not more robust than LBP"
    assert rows["C27"].difference["points"].high < 0, "under a small cover LBP loses less"
    ensembles = [name for name, v in rows.items() if v.claim.study in ("ensemble", "ensemble_occlusion")]
    assert set(ensembles) == {"C2", "C4", "C5", "C6", "C17", "C18", "C30", "C31"}
    assert not any(rows[name].why for name in ensembles)


def test_what_chapter_7_says_of_components():
    record = load_result("choices")
    halves, asked = record["accuracy"]["1 of 2"], record["asked"]

    def best(found):
        return max(found, key=lambda n: np.mean(found[n]))

    assert best(halves["all"]) == best(halves["sharp"]) == "60"
    assert best(asked["CelebA"]) == best(asked["others"]) == "90"
    few = asked["few pictures"]
    assert max(abs(np.mean(few[n]) - np.mean(halves["all"][n])) for n in few) < 0.1, "nearly the same row"
    assert 0.15 < np.mean(halves["all"]["60"]) - np.mean(halves["all"]["120"]) < 0.6, "a few tenths"
