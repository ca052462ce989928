# What the tests of moves share: a policy, a move that is proven whole, the state afterwards.
# shellcheck shell=bash disable=SC2154

# A policy that sends every disk to tier gold (flash/fast). Arguments are added to the tier, e.g.
# 'copy: {bandwidth: 20MiB}'; DEFINITION chooses the strategy.
simple_policy() {
    {
        echo "version: 1"
        policy_clusters
        cat <<EOF
tiers:
  gold:
    pool: flash/fast
EOF
        printf '    %s\n' "$@"
        cat <<EOF
rules:
  - {name: all, match: {}, tier: gold}
definition: ${DEFINITION:-auto}
EOF
    } | write_policy
}

# 20 MB/s: a copy of 200 MiB lasts about 10 s, long enough to be disturbed.
slow_policy() {
    simple_policy 'copy: {bandwidth: 20MiB, mode: background}' "$@"
}

# The guest writes to the images given (DISK=IMAGE), live and by its definition; every acknowledged
# write is there, nothing of the definition but the disks' sources changed.
assert_moved() {
    local guest=$1 pair
    shift
    for pair; do
        assert_eq "${pair#*=}" "$(live_image "$guest" "${pair%%=*}")" "live image of ${pair%%=*}"
        assert_eq "${pair#*=}" "$(saved_image "$guest" "${pair%%=*}")" "defined image of ${pair%%=*}"
        assert_eq 1 "$(watchers "${pair#*=rbd:}")" "watchers of $pair"
    done
    assert_eq running "$(state_of "$guest")"
    save_xml "$guest" "$TEST_DIR/after.xml"
    same_xml_but_disks "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
    wait_writes "$guest" 10
    verify_writes --snapshot "$guest"
}

# The guest and its definition are as they were before; no image of ours is left.
assert_untouched() {
    local guest=$1
    save_xml "$guest" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml" || fail "the definition of $guest changed"
    assert_eq yes "$(is_persistent "$guest")" "persistent"
    no_target_left "$guest"
    wait_writes "$guest" 10
    verify_writes "$guest"
}

no_target_left() {
    local pool left tokens
    # A half-made image bears its token in its name; other tests have others.
    tokens=$(sqlite3 "$STATE/journal.db" "SELECT '\.virt-pivot\.' || token FROM disks" 2>/dev/null |
        paste -sd'|') || true
    for pool in fast bulk tiny; do
        left=$(rbd_in flash ls "$pool" | grep -E "^($1-.*|${tokens:-none})$" || true)
        assert_eq "" "$left" "images left in flash/$pool"
    done
}

is_persistent() {
    virsh -q dominfo "$1" | sed -n 's/^Persistent: *//p'
}

autostart_of() {
    virsh -q dominfo "$1" | sed -n 's/^Autostart: *//p'
}

# A guest whose definition is remembered, and which writes. Sets GUEST.
running_guest() {
    GUEST=$(new_guest "$@")
    start_guest "$GUEST"
    wait_writes "$GUEST" 20
    save_xml "$GUEST" "$TEST_DIR/before.xml"
}

# Until the move that start_vp began has copied something.
wait_copying() {
    wait_for 30 copying
}
copying() {
    vp status --format json >"$TEST_DIR/status.json" 2>/dev/null &&
        [[ $(json "$TEST_DIR/status.json" \
            '[x for m in d["moves"] for x in m["disks"] if (x["copied"] or 0) > 4000000]') != "[]" ]]
}
