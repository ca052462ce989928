# Source and target are compared as they were at the pivot, while the guest goes on writing; what
# anybody flips behind our back is found; and a guest is never left paused.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

REDEFINED=9 VERIFIED=10
EQUAL=1 DIFFERENT=2

journal() { sqlite3 "$STATE/journal.db" "$1"; }
phase() { journal "SELECT phase FROM moves"; }
pause_of() { journal "SELECT pause FROM moves"; }
verdicts() { journal "SELECT DISTINCT verdict FROM disks" | paste -sd,; }

snapshots_left() {
    rbd_in flash snap ls "fast/$GUEST-vda" --format json | grep -c virt-pivot || true
}

# The move is verified, as the journal says: equal digests that are not those of nothing, no
# snapshot left, and the guest stood still for no longer than it may: half a second, where the
# machine has nothing else to do, and never longer than it can be held.
assert_verified() {
    local pause load limit=10000
    assert_eq "$VERIFIED" "$(phase)" "phase"
    assert_eq "$EQUAL" "$(verdicts)" "verdicts"
    assert_eq 0 "$(journal "SELECT count(*) FROM disks WHERE
        (source_digest IS NULL OR source_digest<>target_digest OR snapshot IS NOT NULL)")" "digests"
    pause=$(pause_of)
    echo "paused for $pause ms"
    read -r load _ </proc/loadavg
    ((${load%.*} > $(nproc))) || limit=500
    ((pause > 0 && pause < limit)) || fail "the guest was paused for $pause ms"
}

verified() {
    simple_policy
    running_guest a --disk "$1"
    expect_exit 0 vp move "$GUEST"
    assert_err 'the guest was paused for [0-9]+ ms'
    assert_err 'verified: 1 disk equal'
    assert_verified
    assert_eq 0 "$(snapshots_left)" "snapshots"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    expect_exit 3 vp verify
    expect_exit 3 vp verify 1
    vp history 1 >story
    grep -qE '^  contents +equal$' story || fail "history: $(cat story)"
    grep -qE 'SHA-256 [0-9a-f]{64}' story || fail "history: $(cat story)"
}

test_verified_rbd() { verified "rbd:old/vms/$T-src:256M:fill=50"; }
test_verified_raw() { verified raw:256M:fill=50; }
test_verified_qcow2_chain() { verified qcow2:256M:depth=3:fill=50; }
test_verified_volume() { verified volume:128M:fill=30; }
test_verified_nbd() { verified nbd:128M:tcp:fill=30; }

# Of a user who may not read devices, root has to do it.
test_verified_block() {
    simple_policy
    running_guest a --disk block:128M:fill=30
    expect_exit 0 vp move "$GUEST"
    assert_err "not verified yet.*/dev/.* may not be read by user $VP_LAB_USER"
    expect_exit 0 vp_root verify
    assert_verified
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_three_disks_stand_still_for_a_moment() {
    simple_policy
    running_guest a --disk qcow2:128M:depth=2:fill=20 --disk raw:128M:fill=20 \
        --disk "rbd:old/vms/$T-src:128M:fill=20"
    expect_exit 0 vp move "$GUEST"
    assert_err 'verified: 3 disks equal'
    assert_verified
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb" \
        "vdc=rbd:flash/fast/$GUEST-vdc"
}

test_without_proof_nobody_is_paused() {
    simple_policy
    echo "verify: none" >>"$POLICY"
    running_guest a --disk raw:64M:fill=5
    stdbuf -oL virsh event --domain "$GUEST" --event lifecycle --loop --timeout 120 >events &
    local listener=$!
    sleep 1
    expect_exit 0 vp move "$GUEST"
    kill "$listener"
    grep -qi undefined events || fail "no event was heard: $(cat events)"
    assert_eq "" "$(grep -i suspended events || true)" "pauses"
    assert_eq "$REDEFINED" "$(phase)"
    assert_eq 0 "$(pause_of)" "pause"
    assert_eq 0 "$(snapshots_left)" "snapshots"
    expect_exit 3 vp verify 1
    assert_err 'asked for no proof'
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# Who has paused it means it.
test_a_paused_guest_stays_paused() {
    simple_policy
    running_guest a --disk raw:64M:fill=5
    virsh -q suspend "$GUEST"
    expect_exit 0 vp move "$GUEST"
    assert_eq paused "$(state_of "$GUEST")"
    assert_eq "$VERIFIED" "$(phase)"
    assert_eq 0 "$(pause_of)" "pause by us"
    virsh -q resume "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# --- put off, and taken up again

verifying() {
    vp status --format json >"$TEST_DIR/status.json" 2>/dev/null &&
        [[ $(json "$TEST_DIR/status.json" '[m for m in d["moves"] if m["verifying"]]') != "[]" ]]
}
compared_something() {
    (($(journal "SELECT max(compared) FROM disks") > 0))
}

# A move whose verification lasts some seconds, begun. Sets SOURCE.
begin_verification() {
    simple_policy 'copy: {bandwidth: 20MiB}'
    running_guest a --disk "$1"
    SOURCE=$(live_image "$GUEST" vda)
    start_vp move "$GUEST"
    wait_for 60 verifying
}

test_interrupted_and_done_later() {
    begin_verification "rbd:old/vms/$T-src:256M:fill=150"
    wait_for 20 compared_something
    kill -INT "$VP_PID"
    wait_vp 0
    assert_err "not verified yet"
    assert_eq "$REDEFINED" "$(phase)"
    assert_eq 1 "$(snapshots_left)" "snapshots"
    vp status >shown
    grep -q "not compared yet" shown || fail "status: $(cat shown)"
    expect_exit 0 vp verify
    assert_err 'verified: 1 disk equal'
    assert_verified
    assert_eq 0 "$(snapshots_left)" "snapshots"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_killed_and_done_later() {
    begin_verification raw:256M:fill=150
    kill_vp
    assert_eq running "$(state_of "$GUEST")"
    expect_exit 3 vp recover "$GUEST"
    expect_exit 0 vp verify 1
    assert_verified
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_paused_throttled_and_cancelled_from_another_terminal() {
    begin_verification raw:256M:fill=150
    expect_exit 1 vp recover "$GUEST"
    assert_err "move 1 .* is being verified"
    assert_err "cancel $GUEST"
    expect_exit 0 vp pause "$GUEST"
    sleep 2
    local before
    before=$(journal "SELECT compared FROM disks")
    sleep 3
    assert_eq "$before" "$(journal "SELECT compared FROM disks")" "compared in a pause"
    expect_exit 0 vp resume "$GUEST"
    expect_exit 0 vp throttle "$GUEST" 1MiB
    expect_exit 0 vp cancel "$GUEST"
    assert_err "not compared any more for now"
    wait_for 10 is_gone "$VP_PID"
    assert_eq "$REDEFINED" "$(phase)"
    expect_exit 3 vp cancel "$GUEST"
    journal "UPDATE controls SET bandwidth=NULL"
    expect_exit 0 vp verify
    assert_verified
}

test_the_agent_does_what_was_put_off() {
    begin_verification raw:256M:fill=150
    kill -INT "$VP_PID"
    wait_vp 0
    assert_eq "$REDEFINED" "$(phase)"
    start_agent
    wait_for 90 is_verified
    assert_verified
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
is_verified() { [[ $(phase) == "$VERIFIED" ]]; }

# A source that may not be read stays to be compared.
test_a_source_that_may_not_be_read() {
    simple_policy
    running_guest a --disk raw:64M:fill=5
    local source
    source=$(live_image "$GUEST" vda)
    chmod 0600 "$source"
    expect_exit 0 vp move "$GUEST"
    assert_err "not verified yet.*may not be read by user $VP_LAB_USER"
    assert_eq "$REDEFINED" "$(phase)"
    expect_exit 1 vp verify
    assert_err "may not be read by user $VP_LAB_USER"
    chmod 0644 "$source"
    expect_exit 0 vp verify
    assert_verified
}

# --- what is flipped

# flip CLUSTER POOL/IMAGE OFFSET
flip() {
    qemu-io -f raw -c "write -q -P 0x5a $3 4k" \
        "rbd:$2:id=admin:conf=$(cluster_folder "$1")/ceph.conf"
}

assert_shouts() {
    assert_err "disk vda differs from its source in 1 pieces of 4 MiB, first at byte $1"
    assert_err "kept: .*$2.*flash/fast/$GUEST-vda"
    assert_eq "$REDEFINED" "$(phase)"
    assert_eq "$DIFFERENT" "$(verdicts)"
    vp status >shown
    grep -q "ATTENTION.*differs" shown || fail "status does not shout: $(cat shown)"
    vp history 1 | grep -q "DIFFERENT from its source, first at byte $1" || fail "history"
    assert_eq 1 "$(snapshots_left)" "snapshots"
    image_exists "flash/fast/$GUEST-vda" || fail "the target is gone"
    expect_exit 4 vp verify 1
}

test_a_block_flipped_in_an_rbd_source() {
    begin_verification "rbd:old/vms/$T-src:256M:fill=150"
    kill -TERM "$VP_PID"
    wait_vp 0
    flip old "vms/$T-src" 254M
    expect_exit 4 vp verify
    assert_shouts $((254 << 20)) "vms/$T-src"
    image_exists "old/vms/$T-src" || fail "the source is gone"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_a_byte_flipped_in_a_file_while_it_is_compared() {
    begin_verification raw:256M:fill=150
    expect_exit 0 vp pause "$GUEST"
    printf X | dd of="$SOURCE" bs=1 seek=$((250 << 20)) conv=notrunc status=none
    expect_exit 0 vp resume "$GUEST"
    wait_vp 4
    assert_eq "$DIFFERENT" "$(verdicts)"
    expect_exit 4 vp verify 1
    assert_shouts $((250 << 20)) "$SOURCE"
}

rados_in() {
    rados -c "$(cluster_folder "$1")/ceph.conf" "${@:2}"
}

# Data that the source's object map denies: QEMU, which asks the map, copies nothing there. The guest
# stands still meanwhile, or it might write there and mend the map.
test_data_that_the_object_map_hides() {
    local prefix number
    simple_policy
    running_guest a --disk "rbd:old/vms/$T-src:1G:fill=10"
    virsh -q suspend "$GUEST"
    rbd_in old info "vms/$T-src" --format json >info.json
    prefix=$(json info.json 'd["block_name_prefix"]')
    rados_in old -p vms ls | grep -F "$prefix" >objects
    for ((number = 0; number < 256; number++)); do
        grep -q "$(printf '\.%016x$' "$number")" objects || break
    done
    rados_in old -p vms put "$prefix.$(printf %016x "$number")" "$LAB_FOLDER/lib.sh"
    expect_exit 4 vp move "$GUEST"
    virsh -q resume "$GUEST"
    assert_shouts $((number << 22)) "vms/$T-src"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

mirror_is_ready() {
    [[ $(virsh -q dumpxml "$GUEST") == *"<mirror "*"ready='yes'"* ]]
}

# Everything is copied, and only the pivot is still to come: then a block is written to the target by
# another client, which takes the lock from QEMU and gives it back.
test_a_block_flipped_on_the_target_before_it_is_captured() {
    simple_policy
    running_guest a --disk "rbd:old/vms/$T-src:256M:fill=100"
    start_vp move "$GUEST"
    wait_for 30 job_runs
    kill -STOP "$VP_PID"
    wait_for 60 mirror_is_ready
    flip flash "fast/$GUEST-vda" 254M
    kill -CONT "$VP_PID"
    wait_vp 4
    assert_err "disk vda differs from its source"
    expect_exit 4 vp verify 1
    assert_shouts $((254 << 20)) "vms/$T-src"
}
job_runs() {
    [[ $(virsh -q dumpxml "$GUEST") == *"<mirror "* ]]
}

# --- killed while the guest is held

kill_when_paused() {
    stdbuf -oL virsh event --domain "$GUEST" --event lifecycle --loop --timeout 120 |
        while read -r line; do
            [[ $line != *Suspended* ]] || {
                kill -KILL "$1"
                date +%s%N >killed
                break
            }
        done
}

runs() { [[ $(state_of "$GUEST") == running ]]; }

test_killed_while_the_guest_is_held() {
    local try since
    for try in 1 2 3 4 5; do
        simple_policy
        running_guest "k$try" --disk raw:64M:fill=5
        start_vp move "$GUEST"
        kill_when_paused "$VP_PID" &
        wait_for 90 is_gone "$VP_PID"
        wait "$VP_PID" || true
        [[ -e killed ]] || fail "it was not killed"
        wait_for 4 runs
        since=$((($(date +%s%N) - $(cat killed)) / 1000000))
        echo "try $try: it runs again after $since ms"
        ((since < 2500)) || fail "it stood still for $since ms after the kill"
        rm killed
        wait_writes "$GUEST" 5
        vp recover "$GUEST" 2>&1 || true
        verify_writes --snapshot "$GUEST"
        assert_eq running "$(state_of "$GUEST")"
        assert_eq 0 "$(journal "SELECT count(*) FROM moves WHERE phase NOT IN (9,10,13)")" "open moves"
        (($(journal "SELECT count(*) FROM steps WHERE event='guard'") == 0)) || return 0
    done
    fail "in $try tries the kill never met a paused guest"
}
