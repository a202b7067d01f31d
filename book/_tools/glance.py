"""The picture of the first page: drawn faces, the net, 512 bits each, and what the distance of the codes says.

    python book/_tools/glance.py          writes book/figures/glance.png

Two pictures of one person and one of another, none of whom the lite net has seen. The threshold comes from other drawn
people, as on the page "DeepID2+ in your browser".
"""

import matplotlib
import numpy as np
from book_source import BOOK
from demo_data import PEOPLE, frames, thresholds
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Polygon

from deepid_lite.verification.model import face_features, pretrained

FILE = BOOK / "figures" / "glance.png"
BLUE, ORANGE, PALE = "#0b5c8f", "#b34a00", "#dfe6eb"
ROWS, COLUMNS = 16, 32  # of a code


def codes(model):
    """(three aligned faces, their 512 bits): a person, the same one turned and lit from the side, another person."""
    faces = np.concatenate([frames(PEOPLE[2], 0, 0, 0), frames(PEOPLE[2], 30, 60, 1), frames(PEOPLE[5], 0, 0, 0)])
    return faces, face_features(model, faces)[:, : model.net.dimension] > 0


def distances(bits) -> tuple[int, int]:
    """Unequal bits of the same person and of the two people."""
    return int((bits[0] != bits[1]).sum()), int((bits[1] != bits[2]).sum())


def draw(faces, bits, threshold: int) -> Figure:
    with matplotlib.rc_context({"font.size": 11, "font.family": "DejaVu Sans"}):
        fig = Figure(figsize=(6.4, 4.4), facecolor="white")
        for row, (face, code) in enumerate(zip(faces, bits, strict=True)):
            top = 0.61 - 0.302 * row
            picture = fig.add_axes([0.0, top, 0.19, 0.28])
            picture.imshow(face)
            grid = fig.add_axes([0.415, top, 0.335, 0.28])
            grid.pcolormesh(code.reshape(ROWS, COLUMNS)[::-1], cmap=matplotlib.colors.ListedColormap([PALE, BLUE]),
                            edgecolor="white", linewidth=0.6)  # fmt: skip
            net = fig.add_axes([0.215, top, 0.175, 0.28], xlim=(0, 10), ylim=(0, 10))
            for place, height in enumerate((7.6, 5.8, 4.2, 2.8)):
                x, h = 1 + 1.9 * place, height / 2
                net.add_patch(Polygon([(x, 5 - h), (x, 5 + h), (x + 1.2, 5 + h - 0.5), (x + 1.2, 5 - h + 0.5)],
                                      facecolor="#8fb3cc", edgecolor=BLUE))  # fmt: skip
            for start, end in (((-0.6, 5), (0.8, 5)), ((8.2, 5), (9.9, 5))):
                net.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.3"}, annotation_clip=False)
            for ax in (picture, grid, net):
                ax.axis("off")
        for x, text in (
            (0.095, "drawn faces"),
            (0.303, "one net"),
            (0.5825, "512 neurons,\non or off"),
            (0.89, "verdict"),
        ):
            fig.text(x, 0.945, text, ha="center", va="center", weight="bold")
        for pair, distance in enumerate(distances(bits)):
            same = distance <= threshold
            height, colour = 0.599 - 0.302 * pair, BLUE if same else ORANGE
            ends = [(0.765, height + 0.13), (0.765, height - 0.13)]
            bracket = ConnectionPatch(
                *ends, "figure fraction", color=colour, arrowstyle="|-|, widthA=0.35, widthB=0.35"
            )
            fig.add_artist(bracket)
            text = f"{distance} bits\ndiffer:\n{'same person' if same else 'two people'}"
            fig.text(0.785, height, text, va="center", color=colour, linespacing=1.4)
    return fig


def main():
    model = pretrained("lite")
    faces, bits = codes(model)
    threshold = thresholds(model)[0]["hamming"]
    draw(faces, bits, threshold).savefig(FILE, dpi=200)
    print(f"{FILE.name}: {distances(bits)} bits, threshold {threshold}")


if __name__ == "__main__":
    main()
