#!/bin/sh
# Grade a class where its notebooks can touch nothing: sh coursework/grade_in_container.sh submissions --roster class.csv
# Takes what `coursework.py grade` takes, with paths in or below the current folder; writes ./graded. No network inside.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
engine=$(command -v podman || command -v docker) || { echo "grade_in_container.sh: install podman or docker" >&2; exit 1; }
"$engine" build --quiet --tag deepid-coursework --file "$here/coursework/Dockerfile" "$here"
mkdir -p graded
status=0
"$engine" run --rm --init --network none --memory 8g --pids-limit 4000 --security-opt label=disable \
    --volume "$PWD:/root/class:ro" --volume "$PWD/graded:/root/graded" deepid-coursework "$@" || status=$?
case $engine in *docker) # its root is the machine's: give the results to whom they belong
    "$engine" run --rm --network none --volume "$PWD/graded:/root/graded" --entrypoint chown deepid-coursework \
        -R "$(id -u):$(id -g)" /root/graded ;;
esac
exit $status
