"""Problem sets from their one source: build them, grade notebooks, check that both do what they should.

python coursework/_tools/coursework.py build ps1
python coursework/_tools/coursework.py grade submissions --roster class.csv
python coursework/_tools/coursework.py check
"""

import argparse
import sys
import warnings

from problem_sets import ROOT, SetError, faults, find_sets, read_set, without

warnings.filterwarnings("ignore", message=".*encryption.*")


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="coursework", description="Build, grade and check the problem sets.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="make student notebook, solution and autograder in _build/coursework")
    check = commands.add_parser("check", help="build, then prove points, messages, time limits and secrecy")
    grade = commands.add_parser("grade", help="grade a class's notebooks here with otter run")
    for command in (build, check):
        command.add_argument("sets", nargs="*", metavar="SET", help="ps1, ps2, ...; all when none is named")
    for command in (build, grade):
        command.add_argument("--without", default="", metavar="q8,q9", help="questions to leave out, with their points")
    check.add_argument("--quick", action="store_true", help="form, leaks and the solution's points alone")
    grade.add_argument("handins", nargs="+", metavar="HAND-INS", help="notebooks, folders of them, or zips")
    grade.add_argument("--set", help="the set they belong to, where they do not say it themselves")
    grade.add_argument("--roster", metavar="CSV", help="the class, as Canvas, Moodle or GitHub Classroom export it")
    grade.add_argument("--out", default="graded", help="folder for the tables and the students' pages (graded)")
    grade.add_argument("--limit", type=float, default=60, help="seconds of the processor for one cell or test (60)")
    grade.add_argument("--total", type=float, default=600, help="seconds for one notebook (600)")
    grade.add_argument("--fresh", action="store_true", help="grade again what was graded before and has not changed")
    options = parser.parse_args(arguments)
    try:
        return {"build": _build, "check": _check, "grade": _grade}[options.command](options)
    except SetError as error:
        print(f"coursework: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("coursework: interrupted", file=sys.stderr)
        return 130


def _names(text) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _build(options) -> int:
    from assign import build

    wrong = []
    for source in find_sets(options.sets):
        problem_set = read_set(source)
        if form := faults(problem_set):
            wrong += form
            continue
        folder = build(without(problem_set, _names(options.without))).relative_to(ROOT)
        print(f"{problem_set.name}: hand out {folder}/student/{problem_set.name}.ipynb, keep {folder}/teacher")
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return int(bool(wrong))


def _check(options) -> int:
    from checking import check

    return check(find_sets(options.sets), quick=options.quick)


def _grade(options) -> int:
    from class_grading import grade_all
    from handins import read_roster

    return grade_all(
        options.handins,
        find_sets([options.set])[0].stem if options.set else None,
        options.out,
        options.limit,
        options.total,
        _names(options.without),
        read_roster(options.roster) if options.roster else None,
        options.fresh,
    )


if __name__ == "__main__":
    sys.exit(main())
