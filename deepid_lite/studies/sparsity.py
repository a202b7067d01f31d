"""The study of moderate sparsity [DeepID2+, section 5, Figs. 1 and 6], and what the paper claims of it."""

from deepid_lite.neurons.sparsity import examples, picture, rounded, sparsity_of_runs, summary
from deepid_lite.neurons.untrained import null_models
from deepid_lite.registry import study


@study
def sparsity(setup, seed=0):
    """Figs. 1 and 6: active neurons an image, images a neuron, entropy and Hamming distances, of each layer.

    Counted on the pictures (no mirror) of the held-out people, as the paper counts on its validation people; `test` has
    the same of the test people. Nulls: fresh weights with batch norm's statistics estimated and without batch norm; the
    independent neurons of the same rates stand in each summary. `examples`: activations of 32 evenly spaced neurons of
    the last layer on two pictures of one person and one of another, those of whom there are most [Fig. 1].
    """
    layers, held_out = setup.model.net.heads, setup.held_out
    fresh = null_models(setup.model, held_out.images, seed)
    null = sparsity_of_runs(fresh, held_out.images, held_out.labels, layers, progress=True)
    of_held_out, of_test = ({n: picture(setup.features(part, n)) for n in layers} for part in ("held_out", "test"))
    return {
        "scale": setup.name,
        "data_hash": held_out.data_hash,
        "people": len(held_out.names),
        "layers": {
            f"FC-{n}": {
                "net": summary(of_held_out[n], held_out.labels),
                "nulls": {name: summaries[n] for name, summaries in null.items()},
            }
            for n in layers
        },
        "test": {f"FC-{n}": summary(of_test[n], setup.test.labels, histograms=False) for n in layers},
        "examples": rounded(examples(of_test[layers[-1]], setup.test.labels)),
    }


def _net(result):
    """FC-4's summary of the trained net."""
    return result["layers"]["FC-4"]["net"]


def _null(result):
    """The same of the untrained one."""
    return result["layers"]["FC-4"]["nulls"]["untrained"]


def _active(found):
    return 100 * found["active_mean"] / found["neurons"]


def _alike(found):
    """Code distance of two images of one person, in percent of that of two people."""
    return 100 * found["hamming"]["within"] / found["hamming"]["between"]
