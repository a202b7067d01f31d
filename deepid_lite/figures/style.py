"""Pictures that more than one chapter draws: faces, fields, spectra. Each function returns a matplotlib figure.

Colours are seaborn's colour-blind palette; what a colour says is also said by a place, a marker or a label.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.patches import Rectangle

COLOURS = sns.color_palette("colorblind")


def present(result, reference=None):
    """The dicts of a study to draw, the lite one first; without the one that is None."""
    return [found for found in (result, reference) if found is not None]


def side_by_side(result, reference, height, width=7, **options):
    """One panel for each scale, side by side: (figure, [(axes, study), ...])."""
    found = present(result, reference)
    fig, axes = plt.subplots(1, len(found), figsize=(width, height), squeeze=False, layout="constrained", **options)
    for ax, scale in zip(axes[0], found, strict=True):
        ax.set_title(scale["scale"], fontsize=9, weight="bold")
    return fig, list(zip(axes[0], found, strict=True))


def show_faces(images, titles=None, columns=8, height=1.0, landmarks=None, row_titles=None):
    """A contact sheet of uint8 (N, H, W, 3) pictures, `columns` a row, each `height` inches high.

    titles: N short texts above the pictures; row_titles: one text at the left of each row.
    landmarks: (N, K, 2) points (x, y) in pixels, drawn as crosses. The pictures may differ in size.
    """
    rows = -(-len(images) // columns)
    rows_high, columns_wide = images[0].shape[:2]
    title_height = 0.25 if titles is not None else 0.05
    size = (columns * height * columns_wide / rows_high, rows * (height + title_height))
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="compressed")
    for place, ax in enumerate(axes.flat):
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
        if place >= len(images):
            continue
        ax.imshow(images[place], interpolation="nearest")
        if titles is not None:
            ax.set_title(str(titles[place]), fontsize=8, pad=3)
        if row_titles is not None and place % columns == 0:
            ax.set_ylabel(row_titles[place // columns], fontsize=8, rotation=0, ha="right", va="center")
        if landmarks is not None:
            ax.plot(*np.asarray(landmarks[place]).T, "+", color="white", markersize=9, markeredgewidth=2.6)
            ax.plot(*np.asarray(landmarks[place]).T, "+", color=COLOURS[0], markersize=8, markeredgewidth=1.2)
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    return fig


def receptive_fields(image, rows, places=None):
    """What one neuron of each layer sees: its box on the picture that the net reads.

    image: uint8 (H, W, 3) input of the net; rows: some rows of netinfo.layer_table.
    places: neuron (row, column) of each layer, by default the middle of the map.
    """
    fig, axes = plt.subplots(1, len(rows), figsize=(7, 7 / len(rows) * image.shape[0] / image.shape[1] + 0.4))
    for place, (ax, row) in enumerate(zip(axes, rows, strict=True)):
        i, j = places[place] if places else (row.size[0] // 2, row.size[1] // 2)
        ax.imshow(image)
        corner = (j * row.stride - 0.5, i * row.stride - 0.5)
        high, wide = row.field
        for width, colour in ((3.5, "white"), (1.8, COLOURS[0])):
            style = {"fill": False, "edgecolor": colour, "linewidth": width, "clip_on": False}
            ax.add_patch(Rectangle(corner, wide, high, **style))
        ax.set_title(f"{row.name}\n{high} × {wide}", fontsize=9)
        ax.set(xticks=[], yticks=[])
    fig.tight_layout(pad=0.6)
    return fig


def spectra(eigenvalues, label="share of the variance", counts=True):
    """Eigen-spectra on a log scale, each scaled to sum one.

    eigenvalues: {name: (D,) values in falling order}. counts: write (sum v)^2 / sum v^2 beside each name,
    the number of directions that count.
    """
    fig, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
    for place, (name, values) in enumerate(eigenvalues.items()):
        share = np.clip(values, 0, None) / np.clip(values, 0, None).sum()
        held_out = share > 1e-6
        note = f" ({1 / (share**2).sum():.1f} directions)" if counts else ""  # participation ratio
        marker = "osD^v"[place % 5]
        style = {"marker": marker, "markersize": 3.5, "linewidth": 1.2, "color": COLOURS[place]}
        ax.semilogy(np.arange(1, len(share) + 1)[held_out], share[held_out], label=f"{name}{note}", **style)
    ax.set(xlabel="direction, the widest first", ylabel=label)
    ax.legend(frameon=False, fontsize=9)
    sns.despine(ax=ax)
    return fig
