#!/bin/bash
# All tests. Installs what they need (as root, by apt-get), builds, and prints a line a test.
# usage: tests/run.sh [STAGE]...
#   lint     clang-format, clang-tidy
#   unit     unit tests and the fuzzers' corpora, warnings as errors
#   asan     the same under AddressSanitizer and UndefinedBehaviorSanitizer
#   lab      real moves: two Ceph clusters, libvirt and guests, brought up and torn down
#   sanlab   some of the lab's tests with the sanitized program
# Without a stage: all of them, in that order. The last line counts: N passed, N failed, N skipped.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

passed=0 failed=0 skipped=0
jobs=$(nproc)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

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
    echo "not ok build of preset $preset"
    count 0 1
    return 1
}

run_ctest() {
    local folder=$1 code=0 summary
    ctest --test-dir "$folder" -j "$jobs" --output-on-failure >"$log" 2>&1 || code=$?
    grep -E '^ *[0-9]+/[0-9]+ Test' "$log" || true
    ((code == 0)) || grep -A 60 -E '\[  (FAILED|ERROR)|ERROR: |runtime error' "$log" | head -n 120 || true
    # ctest counts a skipped test among those that passed.
    local all lost not_run
    summary=$(grep -E 'tests passed, [0-9]+ tests? failed out of' "$log") || summary="0 tests failed out of 0"
    all=${summary##* } lost=$(sed -E 's/.*, ([0-9]+) tests? failed.*/\1/' <<<"$summary")
    not_run=$(grep -cE '^ *[0-9]+/[0-9]+ Test.*Skipped' "$log" || true)
    ((all > 0)) || { echo "not ok: no test was run"; lost=1 all=1; }
    count $((all - lost - not_run)) "$lost" "$not_run"
}

sources() {
    git ls-files 'helper/*.[ch]' 'policy/*.[ch]' 'hooks/*.[ch]' 'tests/*.[ch]' "$@"
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
    ! build asan || run_ctest build-asan
}

# run_lab BUILD ARGUMENT...: counts by the lab's own last line.
run_lab() {
    local folder=$1 line
    shift
    VP_BUILD=$PWD/$folder tests/lab/run "$@" 2>&1 | tee "$log" || true
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1) ||
        line="0 passed, 1 failed, 0 skipped"
    # shellcheck disable=SC2046
    count $(sed -E 's/[a-z,]+//g' <<<"$line")
}

stage_lab() {
    say "lab"
    ! build dev || run_lab build --jobs 2
}

stage_sanlab() {
    say "lab, sanitized"
    ! build asan || run_lab build-asan --jobs 2 10-move:test_three_disks 10-move:test_qcow2 \
        30-midcopy:test_ctrl_c 40-recover:test_sigkill_in_the_dance 50-look:test_check \
        50-look:test_plan 50-look:test_history
}

tests/install-deps.sh
(($#)) || set -- lint unit asan lab sanlab
for stage; do
    [[ $(type -t "stage_$stage") == function ]] || { sed -n '3,10p' "$0"; exit 2; }
    "stage_$stage"
done
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0 && passed > 0))
