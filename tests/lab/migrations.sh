# What the tests of migrations share. Guests go from the first host to the second one.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

SIZE=104858112 # no multiple of a MiB: a target of another size than this is refused by QEMU

# The agent knows the domain's disks' sizes, and libvirt hands them on in the metadata.
sizes_are_known() {
    xml_value "$1" "metadata/{urn:virt-pivot:1:disks}disks/*/@capacity" |
        grep -q "^$SIZE\$"
}

# A guest that writes on the first host, the hook with a policy on the second one. Sets GUEST.
guest_to_migrate() {
    two_hosts
    on_b simple_policy
    running_guest "$@"
}

# The same between two hosts that have nothing in common but the network: an agent on each, and
# the guest's files cannot be seen on the second host.
guest_to_migrate_between_strangers() {
    guest_to_migrate "$@"
    own_disks_on_b "$GUEST"
    on_b start_agent
    simple_policy
    start_agent
    wait_for 20 sizes_are_known "$GUEST" || fail "no sizes in the metadata: $(agent_log)"
    sleep 1 # what the second agent sees from now on, it tells from what was before: by the second
}

# assert_runs_on_b GUEST DISK=IMAGE...: it writes to these images, and lost nothing.
assert_runs_on_b() {
    local guest=$1 pair
    shift
    assert_eq running "$(on_b state_of "$guest")" "state on the second host"
    for pair; do
        assert_eq "${pair#*=}" "$(on_b live_image "$guest" "${pair%%=*}")" "live image of ${pair%%=*}"
        [[ $pair != *=rbd:* ]] || assert_eq 1 "$(watchers "${pair#*=rbd:}")" "watchers of $pair"
    done
    wait_writes "$guest" 10
    on_b verify_writes --snapshot "$guest" "$@"
}

# The same, and it is nowhere else.
assert_arrived() {
    expect_exit 1 virsh dominfo "$1"
    assert_runs_on_b "$@"
}

assert_size() {
    rbd_in "${1%%/*}" info --format json "${1#*/}" >"$TEST_DIR/info"
    assert_eq "$SIZE" "$(json "$TEST_DIR/info" 'd["size"]')" "size of $1"
}

defined_on_b() {
    local guest=$1 pair
    shift
    for pair; do
        [[ $(on_b saved_image "$guest" "${pair%%=*}") == "${pair#*=}" ]] || return 1
    done
}

# The definition on the second host names these images, soon; all else of it is as it was.
assert_defined_on_b() {
    wait_for 30 defined_on_b "$@" || fail "the definition of $1 still names" \
        "$(on_b saved_image "$1" "$(cut -d= -f1 <<<"$2")"): $(on_b agent_log || true)"
    on_b save_xml "$1" "$TEST_DIR/after.xml"
    same_xml_but_disks "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
}

# A stop and a start on the second host: the definition and the images are enough.
assert_boots_on_b() {
    on_b virsh -q destroy "$1"
    on_b start_guest "$1"
    assert_runs_on_b "$@"
}

# The migration has failed: the guest is where it was, and so is all else.
assert_stayed() {
    assert_eq running "$(state_of "$1")" "state on the first host"
    wait_for 10 is_not_on_b "$1" || fail "$1 is on the second host"
    wait_for 60 on_b no_target_left "$1"
    on_b no_target_left "$1"
    assert_untouched "$1"
}

is_not_on_b() {
    ! on_b virsh -q dominfo "$1"
}

# refused GUEST REGEX [OPTION]...: the hook refuses the migration with one line that matches.
refused_by_hook() {
    local guest=$1 regex=$2
    shift 2
    expect_exit 1 move_to_b "$guest" "$@"
    assert_err "virt-pivot: domain '$guest': $regex"
    assert_stayed "$guest"
}

# Options for virsh migrate: the definition that the hook gets tells no sizes.
without_metadata() {
    virsh -q dumpxml --migratable --security-info "$1" | "$PYTHON" -c '
import sys, xml.etree.ElementTree as ET
tree = ET.parse(sys.stdin)
for metadata in tree.getroot().findall("metadata"):
    tree.getroot().remove(metadata)
tree.write(sys.argv[1])' "$TEST_DIR/bare.xml"
    echo "--xml=$TEST_DIR/bare.xml"
}

# A file that nothing may write to any more: `remember FILE...`, and later `unchanged`.
remember() {
    md5sum "$@" >"$TEST_DIR/sums"
}
unchanged() {
    md5sum --quiet -c "$TEST_DIR/sums" || fail "a source was written to"
}

# A migration in the background, slow enough to be disturbed: MIGRATION_PID.
start_migration() {
    local guest=$1
    shift
    move_to_b "$guest" --bandwidth 10 "$@" >"$TEST_DIR/migrate.out" 2>&1 &
    MIGRATION_PID=$!
    wait_for 30 is_copying "$guest" || fail "no copy under way: $(cat "$TEST_DIR/migrate.out")"
}
is_copying() {
    virsh -q domjobinfo "$1" | grep -qE '^File processed: +([4-9]|[1-9][0-9]+)\.[0-9]+ MiB'
}
migration_ended() {
    local code=0
    wait_for 60 is_gone "$MIGRATION_PID" || fail "the migration does not end"
    wait "$MIGRATION_PID" || code=$?
    ((code == $1)) || fail "virsh migrate: exit code $code instead of $1: $(cat "$TEST_DIR/migrate.out")"
}
