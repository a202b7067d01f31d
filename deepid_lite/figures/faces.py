"""Drawings of faces: contact sheets, and what a neuron sees of one."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.patches import Rectangle

from deepid_lite.figures.style import COLOURS


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

    image: uint8 (H, W, 3) input of the net; rows: some rows of nets.summary.layer_table.
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
