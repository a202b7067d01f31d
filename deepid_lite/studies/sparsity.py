"""The study of moderate sparsity [DeepID2+, section 5, Figs. 1 and 6], and what the paper claims of it."""

from deepid_lite.neurons.sparsity import examples, picture, rounded, sparsity_of_runs, summary
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.studies import people
from deepid_lite.studies.intervals import PEOPLE_DRAWS, of_people
from deepid_lite.studies.robustness import whole_people

PLAIN = 5000  # images on which the null without statistics is counted
QUANTITIES = ("active", "over_neurons", "over_images", "alike")  # of `people.sparsity`, in percent


@study
def sparsity(setup, seed=0, draws=PEOPLE_DRAWS):
    """Figs. 1 and 6: active neurons an image, images a neuron, entropy and Hamming distances, of each layer.

    Counted on the pictures (no mirror) of the held-out people, as the paper counts on its validation people; `test` has
    the same of the test people. Nulls: fresh weights with batch norm's statistics estimated and without batch norm, the
    latter on some people; the independent neurons of the same rates stand in each summary. `people`: QUANTITIES of the
    last layer with intervals over people, each [value, low, high], of the net and of the first null, and how much
    better the net is. `examples`: activations of 32 evenly spaced neurons on two pictures of one person and one of
    another, those of whom there are most [Fig. 1].
    """
    layers, held_out = setup.model.net.heads, setup.held_out
    some = whole_people(held_out.labels, PLAIN)
    plain = {"plain": untrained_model(setup.model, held_out.images, seed, statistics=False)}
    plain = sparsity_of_runs(plain, held_out.images[some], held_out.labels[some], layers, progress=True)["plain"]
    null = setup.untrained(seed)
    of_null, of_net = ({n: picture(who.features("held_out", n)) for n in layers} for who in (null, setup))
    of_test = {n: picture(setup.features("test", n)) for n in layers}
    last = layers[-1]
    parts = {"held_out": (of_net[last], of_null[last], held_out.labels),
             "test": (of_test[last], picture(null.features("test", last)), setup.test.labels)}  # fmt: skip
    return {
        "scale": setup.name,
        "data_hash": held_out.data_hash,
        "people": len(held_out.names),
        "layers": {
            f"FC-{n}": {
                "net": summary(of_net[n], held_out.labels),
                "nulls": {"untrained": summary(of_null[n], held_out.labels), "untrained_plain": plain[n]},
            }
            for n in layers
        },
        "test": {f"FC-{n}": summary(of_test[n], setup.test.labels, histograms=False) for n in layers},
        "intervals": {part: _intervals(*of, draws, seed) for part, of in parts.items()},
        "examples": rounded(examples(of_test[last], setup.test.labels)),
    }


def _intervals(net, null, labels, draws, seed):
    """{quantity: {"net", "untrained", "difference"}}, the same people drawn for both; smaller is better."""
    of_net, of_null = (people.sparsity(features, labels) for features in (net, null))

    def every(counts):
        return people.beside(of_net(counts), of_null(counts), better=-1)

    found = iter(of_people(every, labels.max() + 1, draws, seed))
    return {quantity: {who: rounded(list(next(found))) for who in ("net", "untrained", "difference")}
            for quantity in QUANTITIES}  # fmt: skip


def _read(quantity, who="net"):
    """Reads {place: Estimate} from a record."""
    places = {"held_out": "held-out people", "test": "test people"}
    return lambda r: {place: Estimate(*r["intervals"][part][quantity][who]) for part, place in places.items()}


def _null(quantity):
    """What the claims of these quantities have in common."""
    return {"section": "sparse", "study": "sparsity", "interval": "people", "kind": "null", "against": "untrained net",
            "ours": _read(quantity), "difference": _read(quantity, "difference")}  # fmt: skip


claims(
    Claim(
        "C9", "About half of the neurons are active on an image, and a neuron on about half of the images",
        "section 5, Figs. 6 and 12", "57.0 %", **_null("active"), between=(40, 60), margin=None, smaller=True,
    ),
    Claim(
        "C10", "This holds for each neuron: the rates of the neurons differ little", "section 5, Fig. 6", "12.4 points",
        **_null("over_neurons"), at_most=12.4, margin=2, unit="{:.1f} points",
    ),
    Claim(
        "C11", "This holds for each image: the numbers of active neurons differ little", "section 5, Fig. 6",
        "6.6 points", **_null("over_images"), at_most=6.6, unit="{:.1f} points",
    ),
    Claim(
        "C14", "Two images of a person activate more of the same neurons than images of two people",
        "section 1, Fig. 1", "drawn, no number", **_null("alike"), at_most=75, own_bar=True, margin=10,
        unit="{:.0f} % of the distance",
    ),
)  # fmt: skip
