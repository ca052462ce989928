#!/bin/bash
# All tests. Installs what they need (as root, by apt-get), builds, and prints a line a test.
# usage: tests/run.sh [STAGE]...
#   lint     clang-format, clang-tidy
#   unit     unit tests and the fuzzers' corpora, warnings as errors
#   asan     the same under AddressSanitizer and UndefinedBehaviorSanitizer; of the moves that are killed
#            or fail at every call, every 10th (VP_TEST_EVERY=1: all)
#   hook     every domain of libvirt's own test suite through the hook; needs the network once
#   crash    virt-pivot dies at some of all points (tests/lab/crash --whole: at all of them)
#   lab      real moves: two Ceph clusters, libvirt and guests, brought up and torn down
#   sanlab   some of the lab's tests with the sanitized program
# Without a stage: all of them, in that order. The last line counts: N passed, N failed, N skipped.
# VP_TEST_SEED: which of the crash points are tried; others every time without it.
# VP_TEST_MINUTES: where time is limited, what cannot begin early enough is skipped, and counted so.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

passed=0 failed=0 skipped=0
lost=$(mktemp) # what has failed, a line each, for the end: it may be all of this that is read
jobs=$(nproc)
log=$(mktemp)
trap 'rm -f "$log" "$lost"' EXIT

began=$(date +%s)

# leave MINUTES: what the lab's tests have to leave for what comes after them.
leave() {
    [[ -z ${VP_TEST_MINUTES:-} ]] || export VP_LAB_UNTIL=$((began + (VP_TEST_MINUTES - $1) * 60))
}

# Whether so many minutes are left; else the stage is counted as skipped.
has_time() {
    [[ ${VP_TEST_MINUTES:-} ]] || return 0
    (($(date +%s) + $1 * 60 > began + VP_TEST_MINUTES * 60)) || return 0
    echo "skip: no time is left for it (VP_TEST_MINUTES)"
    count 0 0 1
    return 1
}

say() {
    printf '\n== %s\n' "$*"
}

count() {
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + ${3:-0}))
}

# check NAME COMMAND...: one test that is a command; what it prints is shown if it fails.
check() {
    local name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok $name"
        count 1 0
    else
        echo "not ok $name"
        echo "$name: $(grep -E 'error|warning: ' "$log" | head -n 1)" >>"$lost"
        tail -n 40 "$log"
        count 0 1
    fi
}

build() {
    local preset=$1
    if cmake --preset "$preset" >"$log" 2>&1 &&
        cmake --build --preset "$preset" -j "$jobs" >"$log" 2>&1; then
        return 0
    fi
    grep -E 'error|warning|FAILED' "$log" | head -n 40 || tail -n 40 "$log"
    echo "not ok build of preset $preset" | tee -a "$lost"
    count 0 1
    return 1
}

# ctest_in FOLDER ARGUMENT...: a line a test, and of what failed its output; all of it in $log.
ctest_in() {
    local folder=$1 code=0
    shift
    ctest --test-dir "$folder" --output-on-failure "$@" >"$log" 2>&1 || code=$?
    grep -E '^ *[0-9]+/[0-9]+ Test' "$log" || true
    ((code == 0)) || grep -A 60 -E '\[  (FAILED|ERROR)|ERROR: |runtime error' "$log" | head -n 120 || true
}

# What failed beside another test is tried once more by itself, as tests/lab/run does, and told so.
run_ctest() {
    local folder=$1 all=0 failures=0 not_run
    ctest_in "$folder" -j "$jobs"
    # ctest counts a skipped test among those that passed.
    not_run=$(grep -cE '^ *[0-9]+/[0-9]+ Test.*Skipped' "$log" || true)
    read -r failures all < <(ctest_summary) || true
    if ((all == 0)); then
        echo "not ok: no test of $folder was run" | tee -a "$lost"
        failures=1 all=1
    elif ((failures > 0)); then
        echo "tried once more, by themselves:"
        ctest_in "$folder" --rerun-failed
        read -r failures _ < <(ctest_summary) || failures=$all
    fi
    sed -nE "/tests FAILED:/,\$ s|^\t *[0-9]+ - (.*)|$folder: \1|p" "$log" >>"$lost"
    count $((all - failures - not_run)) "$failures" "$not_run"
}

# Prints how many tests failed, and out of how many.
ctest_summary() {
    sed -nE 's/.*tests passed, ([0-9]+) tests? failed out of ([0-9]+).*/\1 \2/p' "$log"
}

sources() {
    git ls-files 'helper/*.[ch]' 'policy/*.[ch]' 'hooks/*.[ch]' 'tests/*.[ch]'
}

stage_lint() {
    say "lint"
    # shellcheck disable=SC2046 # one word a file
    check "clang-format" clang-format --dry-run --Werror $(sources)
    build dev || return 0
    # shellcheck disable=SC2046
    check "clang-tidy" tidy $(git ls-files 'helper/*.c' 'policy/*.c' 'hooks/*.c')
}

tidy() {
    printf '%s\n' "$@" | xargs -P "$jobs" -n 4 clang-tidy --quiet -p build
}

stage_unit() {
    say "unit tests"
    ! build dev || run_ctest build
}

stage_asan() {
    say "unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
    # The plain build has tried every point of a move.
    ! build asan || VP_TEST_EVERY=${VP_TEST_EVERY:-10} run_ctest build-asan
}

stage_hook() {
    say "libvirt's test suite through the hook"
    build dev || return 0
    local code=0
    tests/hook/suite.sh build || code=$?
    case $code in
    0) count 1 0 ;;
    77) count 0 0 1 ;;
    *) count 0 1 && echo "tests/hook/suite.sh: exit code $code" >>"$lost" ;;
    esac
}

# run_lab BUILD ARGUMENT...: counts by the lab's own last line.
run_lab() {
    local folder=$1 line
    shift
    VP_BUILD=$PWD/$folder tests/lab/run "$@" 2>&1 | tee "$log" || true
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1) ||
        line="0 passed, 1 failed, 0 skipped"
    # Each with its first reason; not what went well when it was tried once more.
    awk '/^(ok|not ok|skip) / { number = $1 == "not" ? $3 : $2; delete reason[number]; open = 0 }
        /^not ok/ { reason[number] = $0; open = 1 }
        open && /^ *FAILED: / { sub(/^ */, ""); reason[number] = reason[number] ": " $0; open = 0 }
        END { for (number in reason) print reason[number] }' "$log" >>"$lost"
    # shellcheck disable=SC2046
    count $(sed -E 's/[a-z,]+//g' <<<"$line")
}

# Five minutes of it. A death that was survived is a test.
stage_crash() {
    say "crash matrix"
    has_time 10 || return 0
    build crash || return 0
    tests/lab/crash --seconds 270 ${VP_TEST_SEED:+--seed "$VP_TEST_SEED"} 2>&1 | tee "$log" || true
    grep '^not ok' "$log" >>"$lost" || true
    local deaths failed
    read -r deaths failed < <(sed -nE 's/^([0-9]+) deaths .*, ([0-9]+) failed.*/\1 \2/p' "$log") ||
        deaths=0 failed=1
    count $((deaths > failed ? deaths - failed : 0)) "$failed"
}

stage_lab() {
    say "lab"
    leave 11
    ! build dev || run_lab build --jobs 2
}

stage_sanlab() {
    say "lab, sanitized"
    leave 1
    ! build asan || run_lab build-asan --jobs 2 10-move:test_three_disks 10-move:test_qcow2 \
        30-midcopy:test_ctrl_c 40-recover:test_sigkill_in_the_dance 50-look:test_check \
        50-look:test_plan 50-look:test_history
}

tests/install-deps.sh
(($#)) || set -- lint unit asan hook crash lab sanlab
for stage; do
    [[ $(type -t "stage_$stage") == function ]] || { sed -n '3,15p' "$0"; exit 2; }
    "stage_$stage"
done
[[ ! -s $lost ]] || { say "what failed" && head -n 60 "$lost"; }
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0 && passed > 0))
