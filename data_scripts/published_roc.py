"""Fetch and check ROC curves that authors handed to the LFW site: python data_scripts/published_roc.py DEST

Afterwards DEST/published_roc/ holds ten text files of two columns: true positive rate, false positive rate.
They are the other curves of Fig. 4 in the DeepID2+ paper (arXiv 1412.1265); ours is drawn beside them by
deepid evaluate --model webfaces --data lfw --roc fig4.pdf --published DEST/published_roc
They belong to their authors: keep them on your machine.
"""

import math
import sys
from pathlib import Path
from urllib.parse import quote

from _fetch import FetchError, Remote, get_all, run

# The university's host no longer serves downloads; "id_" asks the web archive for the bytes as they were.
UMASS = "http://vis-www.cs.umass.edu/lfw/results/"
ARCHIVE = "https://web.archive.org/web/2016id_/" + UMASS

# OpenFace keeps one of the curves in its repository.
ELSEWHERE = {
    "deepface_ensemble.txt": (
        "https://raw.githubusercontent.com/cmusatyalab/openface/"
        "07e39fe175bb350199ee18efb6730566f9fa23fe/evaluation/comparisons/"
        "deepface_ensemble.txt",
    )
}

CURVES = {  # name: (size in bytes, SHA-256)
    "deepid2plus_arxiv1412.1265.txt": (114_019, "95df2e942ca8463eadfaf5fb9fb97754993e50987c716b9a5721916d3acfdc28"),
    "YiSun_DeepID2.txt": (114_000, "ca9274518613b5c294d088f9a15b1bedf78bbd95b7ce6e6c4a2fbb4ad6333823"),
    "YiSun_DeepID_CelebFaces+_TL_CVPR2014.txt": (
        108_017,
        "92e58446a285d4a02514b3330074efc5015d235ec6eac242834dfc304dfc6272",
    ),
    "gaussianface.txt": (108_036, "b01c442743102a1f46cbb7699234b10ba4cdc94e138e186a4c23dd0dcb89c1ff"),
    "deepface_ensemble.txt": (156_052, "3e84ca3be61bc7a7372ca8eff40e2db1cf650497f85158d717c1976091b1b431"),
    "XudongCao_TransferLearning_FaceVerification_ICCV2013.txt": (
        108_000,
        "ccc477132622483bc440275c09e773e09e62fdfb7c69bcce8908f0529f46468b",
    ),
    "high_dim_LBP_unrestricted_cvpr13.txt": (
        16_200,
        "4a8f2527e1b4964e4462199c17ff264bffc7f07bf3f4a3c668ec739b25dd24c1",
    ),
    "joint_bayesian_combined_unrestricted_eccv12.txt": (
        16_200,
        "c078b1ff680d379ce1678fa2f8c7fb3d6da519c7deace3d1e225f71d6a22484e",
    ),
    "convnet-rbm_celebfaces_iccv13.txt": (114_038, "7673c18ea019cd55ce2deacdc1c18f708d1c6b54827309df1b1aa6102ffdae27"),
    "convnet-rbm_unrestrict_iccv13.txt": (114_038, "e262e31dfc4f2115cea6f92be0530ff541103c196ac4d439ed099992f839b4fd"),
}
FILES = {
    f"published_roc/{name}": Remote(
        "sha256:" + sha256, size, (*ELSEWHERE.get(name, ()), ARCHIVE + quote(name), UMASS + quote(name))
    )
    for name, (size, sha256) in CURVES.items()
}

BY_HAND = (
    "look for them by hand on web.archive.org under vis-www.cs.umass.edu/lfw/results.html and put "
    "them into DEST under these names"
)


def check_curve(path: Path) -> int:
    """Number of points; two columns of rates within 0..1, both rising or both falling, or `FetchError`."""
    points = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            point = [float(word) for word in line.split()]
        except ValueError:
            point = []
        if len(point) != 2 or not all(math.isfinite(rate) and 0 <= rate <= 1 for rate in point):
            raise FetchError(
                f"{path}, line {number}: {line.strip()[:60]!r} is not two rates within 0..1; "
                "delete the file and run again"
            )
        points.append(point)
    columns = [[point[i] for point in points] for i in (0, 1)]
    curve = all(c == sorted(c) for c in columns) or all(c == sorted(c, reverse=True) for c in columns)
    if len(points) < 2 or not curve:
        raise FetchError(
            f"{path}: {len(points)} points that make no curve (both rates must rise, or both "
            "fall); delete the file and run again"
        )
    return len(points)


def main(argv=None, files=FILES) -> int:
    """Fetch and check; return 0, or 2 after one line on stderr. Tests pass small sets."""

    def work(options):
        get_all(files, options.dest, options, BY_HAND)
        for name in files:
            print(f"{name}: {check_curve(options.dest / name):,} points")
        print(f"ready: {options.dest / 'published_roc'}")

    return run("published_roc.py", work, argv, "Fetch and check published LFW ROC curves (1 MB).")


if __name__ == "__main__":
    sys.exit(main())
