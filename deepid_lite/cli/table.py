"""The report of `deepid evaluate` as one table of text."""

NOTE = (
    "+-: standard error of the folds' mean, as in the paper's tables. Intervals: Student's t over the folds, Wilson's\n"
    "over probes for identification, which takes them as independent and the threshold as given."
)


def summary(report):
    """The report as one table of text: value, standard error, 95 % interval."""
    what = f"{report['images']:,} images"
    if "videos" in report:
        what = f"{report['images']:,} frames of {report['videos']:,} videos"
    folds = len(report["fold_accuracy"])
    lines = [f"{report['model']} on {report['data']}: {what}, {report['pairs']:,} pairs in {folds} folds"]
    lines.append(f"  {'':<32}{'value':>9}{'+-':>8}{'95 % interval':>20}")
    for name, key, prefix in (
        ("verification, Joint Bayesian", "accuracy", ""),
        ("verification, cosine", "cosine", "cosine_"),
        ("verification, Hamming", "hamming", "hamming_"),
    ):
        lines.append(_row(name, report[key], report[f"{prefix}interval"], report[f"{prefix}standard_error"]))
    lines.append(_row("equal error rate", report["equal_error_rate"]))
    if found := report.get("identification"):
        lines.append(_row("closed-set rank-1", found["rank1"], found["rank1_interval"]))
        lines.append(_row("open-set DIR at 1 % FAR", found["dir_at_1_far"], found["dir_interval"]))
    note = NOTE
    if trials := report.get("blufr"):
        for name, key in (("BLUFR, TAR at 0.1 % FAR", "tar_at_0.1_far"), ("BLUFR, DIR at 1 % FAR", "dir_at_1_far")):
            lines.append(_row(name, trials[key]["mean_minus_deviation"], error=trials[key]["standard_deviation"]))
        note += f"\nBLUFR: mean minus standard deviation (+-) of its trials; lists: {trials['lists']}."
    note += f"\nActive on an image: {report['active_mean']:.1f} of {report['neurons']} neurons,"
    note += f" standard deviation {report['active_std']:.1f}."
    return "\n".join([*lines, note])


def _row(name, value, interval=None, error=None):
    error = "" if error is None else f"{error:.2f}"
    interval = "" if interval is None else f"{interval[0]:.2f} .. {interval[1]:.2f}"
    return f"  {name:<32}{value:7.2f} %{error:>8}{interval:>20}".rstrip()
