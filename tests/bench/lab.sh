# For the benchmarks that need the lab; sourced. Brings it up, and takes it down at the end.
# shellcheck shell=bash
# shellcheck disable=SC2154 # what the lab says of itself
checkout=$(realpath "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../..")
export VP_BUILD=${VP_BUILD:-$checkout/build-release}
export VP_LAB_DIR=${VP_LAB_DIR:-${TMPDIR:-/tmp}/vp-bench-$$}
lab=$checkout/tests/lab/lab

# up [LINE]...: with a policy of both clusters, and these lines.
up() {
    [[ -x $VP_BUILD/helper/virt-pivot ]] ||
        { echo "$VP_BUILD/helper/virt-pivot is not built" >&2; exit 1; }
    trap '"$lab" down' EXIT
    "$lab" up
    eval "$("$lab" env)"
    cp "$VP_BUILD/helper/virt-pivot" "$VP_LAB_DIR/virt-pivot"
    cat >"$VP_LAB_DIR/policy.yaml" <<EOF
version: 1
clusters:
  old: {mons: ["127.0.0.1:$VP_LAB_PORT_old"], user: libvirt, secret: $VP_LAB_SECRET_old}
  flash: {mons: ["127.0.0.1:$VP_LAB_PORT_flash"], user: libvirt, secret: client.libvirt flash}
rules: [{match: {}, tier: gold}]
EOF
    printf '%s\n' "$@" >>"$VP_LAB_DIR/policy.yaml"
}

# Prints the seconds that a command takes.
seconds_of() {
    local begin
    begin=$(date +%s%N)
    "$@" >"$VP_LAB_DIR/bench.log" 2>&1 || { tail -n 5 "$VP_LAB_DIR/bench.log" >&2; return 1; }
    awk -v ns="$(($(date +%s%N) - begin))" 'BEGIN { printf "%.2f", ns / 1e9 }'
}

by_virt_pivot() {
    "$lab" as-user "$VP_LAB_DIR/virt-pivot" -c "$VP_LAB_URI" --policy "$VP_LAB_DIR/policy.yaml" \
        --state "$VP_LAB_HOME/state" move "$@"
}

# used IMAGE: MiB that it takes on the target cluster.
used() {
    "$lab" rbd flash du --format json "$1" 2>/dev/null |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["images"][-1]["used_size"] >> 20)'
}

least() {
    printf '%s\n' "$@" | sort -n | head -n 1
}

median() {
    printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}
