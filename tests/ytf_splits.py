"""YouTube Faces' list of splits, written small."""

HEADER = "split number, pair number, first name, second name, is same\n"


def row(fold, place, first, second, *same):
    return ", ".join(map(str, (fold, place, first, second, *same))) + "\n"


def splits(changed=(), last=20):
    """Ten splits of a same and a different pair of p0..p4, two videos each; changed: pairs with another label."""
    lines, corrected = [], []
    for number in range(last):
        fold, place = number // 2 + 1, number % 2 + 1
        a, b = f"p{fold % 5}/0", f"p{fold % 5}/1" if place == 1 else f"p{(fold + 1) % 5}/1"
        same = int(place == 1)
        lines.append(row(fold, place, a, b, same))
        corrected.append(row(fold, place, a, b, same, 1 - same if number in changed else same))
    return HEADER + "".join(lines), HEADER + "".join(corrected)
