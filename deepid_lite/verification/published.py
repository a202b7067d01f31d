"""The ROC points that authors handed to the LFW site.

`data_scripts/published_roc.py` fetches those points; they belong to their authors and are not part of this project.
"""

from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.layouts import default_root
from deepid_lite.faces.tables import read_text

# file of data_scripts/published_roc.py -> method, the best of them first. High-dimensional LBP and Joint Bayesian are
# their versions trained on LFW alone; the 95.17 % of the paper's Table 1 had more data.
METHODS = {
    "deepid2plus_arxiv1412.1265.txt": "DeepID2+",
    "YiSun_DeepID2.txt": "DeepID2",
    "gaussianface.txt": "GaussianFace",
    "YiSun_DeepID_CelebFaces+_TL_CVPR2014.txt": "DeepID",
    "deepface_ensemble.txt": "DeepFace",
    "XudongCao_TransferLearning_FaceVerification_ICCV2013.txt": "TL Joint Bayesian",
    "high_dim_LBP_unrestricted_cvpr13.txt": "High-dim LBP (LFW only)",
    "convnet-rbm_celebfaces_iccv13.txt": "ConvNet-RBM, CelebFaces",
    "convnet-rbm_unrestrict_iccv13.txt": "ConvNet-RBM (LFW only)",
    "joint_bayesian_combined_unrestricted_eccv12.txt": "Joint Bayesian (LFW only)",
}


def read_published(folder):
    """The authors' points in a folder of text files, two columns "TPR FPR" -> {method: (far, tar)}, fractions, rising.

    Methods come in the order of METHODS; other .txt files follow under their own names. DataError: no such folder or
    no file in it, rows that are not two rates, points that make no curve.
    """
    folder = Path(folder).expanduser()
    files = sorted(folder.glob("*.txt"), key=lambda f: ([*METHODS, f.name].index(f.name), f.name))
    if not files:
        raise DataError(f"{folder}: no ROC points (*.txt) there; fetch them with data_scripts/published_roc.py")
    return {METHODS.get(file.name, file.stem): _read_points(file) for file in files}


def _read_points(file):
    rows = [line.split() for line in read_text(file).splitlines() if line.strip()]
    try:
        points = np.array(rows, dtype=np.float64).reshape(len(rows), 2)
        good = len(points) > 1 and bool(((points >= 0) & (points <= 1)).all())  # NaN is neither
    except ValueError:
        good = False
    if not good:
        raise DataError(f"{file}: not two columns of rates within 0..1; fetch it with data_scripts/published_roc.py")
    tar, far = (points if points[0, 1] <= points[-1, 1] else points[::-1]).T
    if (np.diff(far) < 0).any() or (np.diff(tar) < 0).any():
        raise DataError(f"{file}: the rates do not rise together, which is no ROC; fetch the file again")
    return far, tar


def authors_rates(root, methods, fars=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3)):
    """A few points of each method's curve: {method: {"far", "tar", "accuracy"}}; {} where `root` has no published_roc/.

    accuracy: the best that the curve allows, in percent, with one threshold chosen on all pairs, half of them genuine.
    root: the folder of the data sets; None: that of DEEPID_DATA.
    """
    folder = (Path(root) if root else default_root("published_roc")) / "published_roc"
    curves = read_published(folder) if folder.is_dir() else {}
    found = {}
    for method in curves.keys() & set(methods):
        far, tar = curves[method]
        rates = [round(float(tar[far <= at].max()), 4) for at in fars]
        best = round(50 * float((tar + 1 - far).max()), 2)
        found[method] = {"far": list(fars), "tar": rates, "accuracy": best}
    return {method: found[method] for method in methods if method in found}
