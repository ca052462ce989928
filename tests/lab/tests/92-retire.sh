# Sources are given up: into the trash, aside, or for good; and never while anybody needs them.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

# retire_policy AFTER [GRACE]: contents are the business of another test.
retire_policy() {
    simple_policy
    cat >>"$POLICY" <<EOF
verify: none
source: {after: $1, grace: ${2:-0s}}
EOF
}

# moved AFTER SPEC [GRACE]: a guest with that disk, which has moved. Sets GUEST and SOURCE.
moved() {
    retire_policy "$1" "${3:-0s}"
    running_guest a --disk "$2"
    SOURCE=$(live_image "$GUEST" vda)
    expect_exit 0 vp move "$GUEST"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(live_image "$GUEST" vda)"
}
moved_rbd() { moved "$1" "rbd:old/vms/$T-src:64M:fill=8" "${2:-0s}"; }
moved_raw() { moved "$1" raw:64M:fill=8 "${2:-0s}"; }

source_image() { echo "${SOURCE#rbd:old/}"; }

phase() {
    sqlite3 "$STATE/journal.db" "SELECT phase FROM moves WHERE id=1"
}
given_up() {
    sqlite3 "$STATE/journal.db" "SELECT given_up FROM disks WHERE move=${1:-1} AND target='${2:-vda}'"
}
retired_rows() {
    sqlite3 "$STATE/journal.db" "SELECT count(*) FROM ledger WHERE retired"
}
RETIRED=11

# The guest goes on as if nothing had happened, on its target.
assert_guest_goes_on() {
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(live_image "$GUEST" vda)" "live image"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(saved_image "$GUEST" vda)" "defined image"
    wait_writes "$GUEST" 10
    verify_writes --snapshot "$GUEST"
}

assert_source_is_there() {
    if [[ $SOURCE == rbd:* ]]; then
        image_exists "${SOURCE#rbd:}" || fail "$SOURCE is gone"
    else
        [[ -e $SOURCE ]] || fail "$SOURCE is gone"
    fi
    assert_eq "" "$(given_up)" "given up"
}

# refused REGEX [COMMAND]: nothing is given up, by nobody.
refused() {
    expect_exit 1 "${2:-vp}" retire --now 1
    assert_err "$1"
    assert_source_is_there
    expect_exit 1 "${2:-vp}" retire --now --dry-run 1
    assert_err "$1"
    assert_eq 9 "$(phase)" phase
}

# --- what becomes of it

test_rbd_to_the_trash() {
    moved_rbd trash
    local id
    id=$(rbd_in old info --format json "$(source_image)" >info.json && json info.json 'd["id"]')
    expect_exit 0 vp retire --dry-run
    assert_out "to the trash of pool vms"
    assert_source_is_there
    expect_exit 0 vp retire
    ! image_exists "${SOURCE#rbd:}" || fail "the source is still there"
    assert_eq "trash $(source_image) $id" "$(given_up)"
    rbd_in old trash ls vms >trash.txt
    grep -q "^$id $T-src" trash.txt || fail "not in the trash"
    assert_eq "$RETIRED" "$(phase)" phase
    assert_eq 1 "$(retired_rows)" "retired rows of the ledger"
    expect_exit 3 vp retire
    expect_exit 3 vp retire 1
    assert_err "already"
    expect_exit 0 vp report
    assert_out "in the trash of pool vms as $id"
    vp report --format json >report.json
    assert_eq "trash $(source_image) $id" "$(json report.json 'd["moves"][0]["disks"][0]["given_up"]')"
    expect_exit 0 vp history 1
    assert_out "give up.*id $id"
    assert_guest_goes_on
    rbd_in old trash restore --pool vms "$id"
    image_exists "${SOURCE#rbd:}" || fail "it cannot be restored"
}

test_rbd_removed() {
    moved_rbd remove
    expect_exit 0 vp retire 1
    assert_out "removed"
    ! image_exists "${SOURCE#rbd:}" || fail "the source is still there"
    assert_match "^removed $(source_image) [0-9a-f]+$" "$(given_up)"
    assert_eq "" "$(rbd_in old trash ls vms | grep "$T-src" || true)" "in the trash"
    assert_guest_goes_on
}

test_kept() {
    moved_rbd keep
    expect_exit 3 vp retire
    expect_exit 3 vp retire --now 1
    assert_err "keeps its sources"
    assert_source_is_there
}

test_raw_file_aside() {
    moved_raw trash
    md5sum <"$SOURCE" >before.md5
    expect_exit 0 vp_root retire
    [[ ! -e $SOURCE ]] || fail "the source is still there"
    assert_eq "aside $SOURCE.virt-pivot-1" "$(given_up)"
    assert_eq "$(cat before.md5)" "$(md5sum <"$SOURCE.virt-pivot-1")" "its bytes"
    assert_guest_goes_on
}

test_raw_file_removed() {
    moved_raw remove
    expect_exit 0 vp_root retire
    assert_eq "" "$(find "$(dirname "$SOURCE")" -name 'vda.raw*')" "files left"
    assert_eq "removed $SOURCE" "$(given_up)"
    assert_guest_goes_on
}

test_only_the_top_of_a_chain_is_removed() {
    moved remove qcow2:64M:depth=3:fill=8
    expect_exit 0 vp_root retire
    [[ ! -e $SOURCE ]] || fail "the top is still there"
    assert_eq 2 "$(find "$(dirname "$SOURCE")" -name 'vda.*.qcow2' | wc -l)" "backing files"
    assert_guest_goes_on
}

test_qcow2_aside_can_still_be_read() {
    moved trash qcow2:64M:depth=2:fill=8
    expect_exit 0 vp_root retire
    qemu-img check -q "$SOURCE.virt-pivot-1"
    qemu-img info --backing-chain "$SOURCE.virt-pivot-1" | grep -q "vda.1.qcow2"
    assert_guest_goes_on
}

test_block_device_kept() {
    moved trash block:64M:fill=8
    expect_exit 0 vp_root retire
    assert_out "kept: a block device"
    [[ -b $SOURCE ]] || fail "the device is gone"
    assert_eq "kept a block device" "$(given_up)"
    assert_eq "$RETIRED" "$(phase)" phase
    assert_eq 0 "$(retired_rows)" "retired rows of the ledger"
}

test_three_disks_at_once() {
    retire_policy trash
    running_guest a --disk raw:64M:fill=8 --disk "rbd:old/vms/$T-src:64M:fill=8" \
        --disk nbd:64M:fill=8
    expect_exit 0 vp move "$GUEST"
    expect_exit 0 vp_root retire
    assert_match "^aside /" "$(given_up 1 vda)"
    assert_match "^trash vms/$T-src " "$(given_up 1 vdb)"
    assert_match "^kept " "$(given_up 1 vdc)"
    verify_writes --snapshot "$GUEST"
}

test_proven_first() {
    retire_policy trash
    sed -i 's/^verify: none/verify: full/' "$POLICY"
    running_guest a --disk "rbd:old/vms/$T-src:64M:fill=8"
    expect_exit 0 vp move "$GUEST"
    expect_exit 0 vp retire
    assert_eq "$RETIRED" "$(phase)" phase
    vp report --format json >report.json
    assert_eq equal "$(json report.json 'd["moves"][0]["disks"][0]["contents"]')" contents
    assert_match "^[0-9a-f]{64}$" "$(json report.json 'd["moves"][0]["disks"][0]["source_digest"]')"
    expect_exit 0 vp history 1
    assert_out "give up.*sha256 [0-9a-f]{64}, target [0-9a-f]{64}"
    verify_writes --snapshot "$GUEST"
}

# --- by itself

test_agent_waits_for_the_grace() {
    moved_rbd trash 15s
    start_agent
    assert_source_is_there
    wait_for 60 is_retired || fail "not given up: $(agent_log)"
    assert_match "^trash " "$(given_up)"
    wait_for 10 agent_said "its sources are given up" || fail "it does not say so: $(agent_log)"
    stop_agent
    assert_guest_goes_on
}
is_retired() { [[ $(phase) == "$RETIRED" ]]; }
agent_said() { agent_log | grep -q "$1"; }

test_agent_says_once_why_not() {
    moved_raw trash
    start_agent # which may not rename in the guest's folder
    wait_for 30 agent_said "its sources are not given up yet: .*may not be" || fail "$(agent_log)"
    assert_source_is_there
    assert_eq 1 "$(agent_log | grep -c "not given up yet")" "times said"
    stop_agent
}

# --- and back

comes_back() {
    expect_exit 0 vp_root retire 1
    expect_exit 0 vp_root undo 1
    assert_eq "$SOURCE" "$(live_image "$GUEST" vda)" "live image"
    assert_eq "$SOURCE" "$(saved_image "$GUEST" vda)" "defined image"
    wait_writes "$GUEST" 10
    verify_writes "$GUEST"
    assert_eq "" "$(given_up)" "given up"
    assert_eq 0 "$(retired_rows_that_lead)" "retired rows that lead away"
    expect_exit 3 vp_root retire 1
    # What the undo leaves is the image that the move had made.
    expect_exit 0 vp_root retire 2
    ! image_exists "flash/fast/$GUEST-vda" || fail "the image that was left is still there"
    assert_match "^trash fast/$GUEST-vda " "$(given_up 2)"
    verify_writes "$GUEST"
}
retired_rows_that_lead() {
    sqlite3 "$STATE/journal.db" "SELECT count(*) FROM ledger WHERE retired AND NOT ended"
}

test_undo_from_the_trash() {
    moved_rbd trash
    comes_back
}

test_undo_from_aside() {
    moved_raw trash
    comes_back
}

# --- when not

test_not_before_the_grace_is_over() {
    moved_rbd trash 1h
    expect_exit 3 vp retire
    assert_err "the next one is over"
    expect_exit 1 vp retire 1
    assert_err "grace of 1 h"
    assert_source_is_there
    expect_exit 0 vp retire --now
    assert_match "^trash " "$(given_up)"
    rbd_in old trash ls --long vms >trash.txt
    grep "$T-src" trash.txt | grep -q "protected until" || fail "no delay"
}

test_not_while_a_definition_names_it() {
    moved_rbd trash
    local xml
    save_xml "$GUEST" after.xml
    virsh -q define before.xml
    refused "the definition does not name that"
    virsh -q define after.xml
    # Another domain, off.
    xml=$(sed -e "s#<name>.*</name>#<name>$T-other</name>#" -e '/<uuid>/d' before.xml)
    virsh -q define /dev/stdin <<<"$xml"
    refused "the definition of domain '$T-other' still names it"
    virsh -q undefine "$T-other"
    expect_exit 0 vp retire
}

test_not_while_a_guest_runs_on_it() {
    moved_raw trash
    sed -e "s#<name>.*</name>#<name>$T-other</name>#" -e '/<uuid>/d' -e '/<serial type/,/<.serial>/d' \
        -e '/<console/,/<.console>/d' before.xml >other.xml
    virsh -q create --paused other.xml
    refused "the running guest of domain '$T-other' still names it" vp_root
    virsh -q destroy "$T-other"
    expect_exit 0 vp_root retire
}

test_not_while_an_overlay_stands_on_it() {
    moved_raw trash
    local overlay=$TEST_DIR/overlay.qcow2
    qemu-img create -q -f qcow2 -F raw -b "$SOURCE" middle.qcow2
    qemu-img create -q -f qcow2 -F qcow2 -b middle.qcow2 "$overlay"
    sed -e "s#<name>.*</name>#<name>$T-other</name>#" -e '/<uuid>/d' \
        -e "s#$SOURCE#$overlay#" -e "s#type='raw'#type='qcow2'#" before.xml >other.xml
    virsh -q define other.xml
    refused "the definition of domain '$T-other' still names it" vp_root
    rm middle.qcow2 # what it stands on is not there any more
    expect_exit 0 vp_root retire
    virsh -q undefine "$T-other"
}

test_not_while_a_client_watches_it() {
    moved_rbd trash
    qemu-nbd --fork --persistent --socket "$TEST_DIR/nbd" --format raw --pid-file nbd.pid \
        "rbd:$(source_image):conf=$(cluster_folder old)/ceph.conf" </dev/null >/dev/null 2>&1
    wait_for 10 test -S "$TEST_DIR/nbd"
    assert_eq 1 "$(watchers "${SOURCE#rbd:}")" watchers
    refused "client.* has it open"
    kill "$(cat nbd.pid)"
    wait_for 40 no_watchers
    expect_exit 0 vp retire
}
no_watchers() { [[ $(watchers "${SOURCE#rbd:}") == 0 ]]; }

test_not_while_a_process_holds_the_file() {
    moved_raw remove
    qemu-nbd --fork --persistent --socket "$TEST_DIR/nbd" --format raw --pid-file nbd.pid \
        "$SOURCE" </dev/null >/dev/null 2>&1
    refused "has it open" vp_root
    kill "$(cat nbd.pid)"
    wait_for 10 is_gone "$(cat nbd.pid 2>/dev/null || echo 999999)"
    expect_exit 0 vp_root retire
}

test_not_while_snapshots_would_go() {
    moved_rbd remove
    rbd_in old snap create "$(source_image)@keep"
    refused "snapshots"
    rbd_in old snap rm --no-progress "$(source_image)@keep"
    expect_exit 0 vp retire
}

test_not_while_not_verified() {
    moved_rbd trash
    # As if the policy had asked for proof, and there is none yet.
    sqlite3 "$STATE/journal.db" \
        "UPDATE moves SET plan=replace(plan, '\"verify\":false', '\"verify\":true')"
    refused "not verified"
    expect_exit 3 vp retire
}

test_not_while_the_target_is_not_the_guests_alone() {
    moved_rbd trash
    qemu-nbd --fork --persistent --socket "$TEST_DIR/nbd" --format raw --pid-file nbd.pid \
        "rbd:fast/$GUEST-vda:conf=$(cluster_folder flash)/ceph.conf" </dev/null >/dev/null 2>&1
    refused "2 clients have .* open"
    kill "$(cat nbd.pid)"
}

# An unprivileged user may not rename in the guest's folder.
test_without_the_right_to() {
    moved_raw trash
    expect_exit 1 vp retire 1
    assert_err "may not be"
    assert_err "run it as a user who may"
    assert_source_is_there
    assert_eq 9 "$(phase)" phase
    expect_exit 0 vp_root retire
}

# --- half-way

# Killed between the two disks: the first is gone, the second is announced. recover ends it.
test_killed_half_way() {
    retire_policy trash
    running_guest a --disk "rbd:old/vms/$T-one:64M:fill=4" --disk "rbd:old/vms/$T-two:64M:fill=4"
    expect_exit 0 vp move "$GUEST"
    local one two
    one=$(rbd_in old info --format json "vms/$T-one" >info.json && json info.json 'd["id"]')
    two=$(rbd_in old info --format json "vms/$T-two" >info.json && json info.json 'd["id"]')
    rbd_in old trash mv "vms/$T-one"
    sqlite3 "$STATE/journal.db" "UPDATE moves SET begun=$RETIRED;
        UPDATE disks SET given_up='trash vms/$T-one $one' WHERE target='vda';
        UPDATE disks SET given_up='trash vms/$T-two $two' WHERE target='vdb'"
    expect_exit 0 vp recover
    assert_err "about to be given up"
    assert_eq "$RETIRED" "$(phase)" phase
    assert_eq "trash vms/$T-two $two" "$(given_up 1 vdb)"
    ! image_exists "old/vms/$T-two" || fail "the second is still there"
    assert_eq 2 "$(retired_rows)" "retired rows of the ledger"
    expect_exit 3 vp recover
    verify_writes --snapshot "$GUEST"
}

# The same, but somebody needs the second one by then: it stays, and the journal says so.
test_killed_half_way_and_needed_again() {
    moved_raw remove
    sqlite3 "$STATE/journal.db" "UPDATE moves SET begun=$RETIRED;
        UPDATE disks SET given_up='aside $SOURCE.virt-pivot-1'"
    mv "$SOURCE" "$SOURCE.virt-pivot-1"
    sed -e "s#<name>.*</name>#<name>$T-other</name>#" -e '/<uuid>/d' before.xml >other.xml
    virsh -q define other.xml
    expect_exit 1 vp_root recover
    assert_err "the definition of domain '$T-other' still names it"
    assert_source_is_there
    [[ ! -e $SOURCE.virt-pivot-1 ]] || fail "it is aside as well"
    virsh -q undefine "$T-other"
    expect_exit 3 vp_root recover
    expect_exit 0 vp_root retire
}

# Killed at some moment or other; each time it comes to one end.
test_sigkill_at_many_moments() {
    local i=0
    moved_raw trash
    while [[ -e $SOURCE || $(phase) != "$RETIRED" ]]; do
        ((++i < 40)) || fail "never retired"
        start_vp_root retire 1
        sleep "$(awk -v i="$i" 'BEGIN { print 0.03 * i }')"
        kill -KILL "$VP_PID" 2>/dev/null || true
        wait "$VP_PID" || true
        vp_root recover >"$OUT" 2>"$ERR" || [[ $? == 3 ]] || fail "recover: $(cat "$ERR")"
        if [[ -e $SOURCE ]]; then
            assert_eq "" "$(given_up)" "given up"
        fi
    done
    [[ -e $SOURCE.virt-pivot-1 ]] || fail "it is not aside"
    assert_guest_goes_on
}
