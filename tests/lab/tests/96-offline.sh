# Domains that are off: virt-pivot copies by itself, and the definition names the copies.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/migrations.sh"

# A domain that was never started; its disks hold random data (fill=). Sets GUEST.
idle_domain() {
    GUEST=$(new_guest "$@")
    save_xml "$GUEST" "$TEST_DIR/before.xml"
}

# A guest that has written, and is off. Sets GUEST.
idle_guest() {
    running_guest "$@"
    shut_down "$GUEST"
}

shut_down() {
    virsh -q destroy "$1"
    assert_eq "shut off" "$(state_of "$1")"
}

# The definition names the images given (DISK=IMAGE), and nothing else of it changed.
assert_defined() {
    local guest=$1 pair
    shift
    assert_eq "shut off" "$(state_of "$guest")"
    for pair; do
        assert_eq "${pair#*=}" "$(saved_image "$guest" "${pair%%=*}")" "defined image of ${pair%%=*}"
        assert_eq 0 "$(watchers "${pair#*=rbd:}")" "watchers of $pair"
    done
    save_xml "$guest" "$TEST_DIR/after.xml"
    same_xml_but_disks "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
}

# Nothing has happened: neither to the definition, nor is an image of ours left.
assert_as_before() {
    save_xml "$1" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml" || fail "the definition of $1 changed"
    no_target_left "$1"
}

used_on_target() {
    rbd_in flash du --format json "fast/$1" >"$TEST_DIR/du" 2>/dev/null
    json "$TEST_DIR/du" 'd["images"][-1]["used_size"]'
}

# moves_while_off DISK-SPEC [VP]: the copy has the source's bytes, and no more objects than it needs.
moves_while_off() {
    local source used
    simple_policy "qos: {iops: 5000}"
    idle_domain a --disk "${1//NAME/$T-a}"
    source=$(saved_image "$GUEST" vda)
    expect_exit 0 "${2:-vp}" move "$GUEST"
    assert_out "it is off"
    assert_err "still nobody uses it"
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    compare_images "$source" "rbd:flash/fast/$GUEST-vda"
    # Copied, and then compared with its source as it was at the switch.
    assert_eq "10|1|" "$(sqlite3 "$STATE/journal.db" \
        "SELECT phase, verdict, snapshot FROM moves JOIN disks ON move = moves.id")" "proof"
    used=$(used_on_target "$GUEST-vda")
    ((used < 120000000)) || fail "$used bytes are used on the target of a disk with 20 MiB in it"
    rbd_in flash image-meta list "fast/$GUEST-vda" >"$TEST_DIR/meta"
    grep -q "conf_rbd_qos_iops_limit *5000" "$TEST_DIR/meta" || fail "no limit is set"
}

test_rbd_of_another_cluster() { moves_while_off rbd:old/vms/NAME-src:1G:fill=20; }
test_rbd_without_fast_diff() { moves_while_off rbd:old/vms/NAME-src:1G:fill=20:features=layering; }
test_raw_file() { moves_while_off raw:1G:fill=20; }
test_qcow2_chain() { moves_while_off qcow2:1G:depth=3:fill=20; }
test_block_device() { moves_while_off block:1G:fill=20 vp_root; }
test_volume() { moves_while_off volume:1G:fill=20; }
test_nbd_export() { moves_while_off nbd:1G:tcp:fill=20; }

test_what_the_user_may_not_read_is_refused() {
    simple_policy
    idle_domain a --disk block:16M
    expect_exit 1 vp move "$GUEST"
    assert_err "may not be read by user vp-lab"
    assert_err "hint: give the user that virt-pivot runs as read access"
    assert_as_before "$GUEST"
}

test_rbd_pool_of_the_same_cluster() {
    simple_policy
    sed -i 's#pool: flash/fast#pool: flash/bulk#' "$POLICY"
    idle_domain a --disk "rbd:flash/fast/$T-src:256M:fill=20"
    expect_exit 0 vp move "$GUEST"
    assert_defined "$GUEST" "vda=rbd:flash/bulk/$GUEST-vda"
    compare_images "rbd:flash/fast/$T-src" "rbd:flash/bulk/$GUEST-vda"
}

# --- snapshots of the source

source_with_snapshots() { # IDLE-DOMAIN-SIZE
    idle_domain a --disk "rbd:old/vms/$T-src:$1:fill=20"
    rbd_in old snap create --no-progress "vms/$T-src@first"
    rbd_in old bench --io-type write --io-size 64K --io-total 4M --io-pattern rand "vms/$T-src" \
        >/dev/null
    rbd_in old snap create --no-progress "vms/$T-src@with a blank"
    rbd_in old bench --io-type write --io-size 16K --io-total 2M --io-pattern rand "vms/$T-src" \
        >/dev/null
}

sum_of() { # CLUSTER IMAGE[@SNAPSHOT]
    rbd_in "$1" export --no-progress "$2" - | md5sum
}

test_snapshots_are_copied_along() {
    local snapshot
    simple_policy
    echo "source: {snapshots: copy}" >>"$POLICY"
    source_with_snapshots 128M
    expect_exit 0 vp move "$GUEST"
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    compare_images "rbd:old/vms/$T-src" "rbd:flash/fast/$GUEST-vda"
    for snapshot in first "with a blank"; do
        assert_eq "$(sum_of old "vms/$T-src@$snapshot")" \
            "$(sum_of flash "fast/$GUEST-vda@$snapshot")" "contents of $snapshot"
    done
    assert_eq "first,with a blank" "$(rbd_in flash snap ls --format json "fast/$GUEST-vda" |
        "$PYTHON" -c 'import json,sys; print(",".join(s["name"] for s in json.load(sys.stdin)))')" \
        "snapshots of the copy"
}

test_snapshots_are_copied_no_further_than_a_kill() {
    slow_policy
    echo "source: {snapshots: copy}" >>"$POLICY"
    source_with_snapshots 128M
    start_vp move "$GUEST"
    wait_for 60 has_copied_a_snapshot || fail "no snapshot is copied"
    kill_vp KILL
    expect_exit 0 vp recover
    assert_as_before "$GUEST"
    assert_eq 2 "$(rbd_in old snap ls "vms/$T-src" | grep -c MiB)" "snapshots of the source"
}
has_copied_a_snapshot() {
    rbd_in flash snap ls "fast/$GUEST-vda" 2>/dev/null | grep -q copied.first
}

test_snapshots_of_another_size_are_refused() {
    simple_policy
    echo "source: {snapshots: copy}" >>"$POLICY"
    source_with_snapshots 64M
    rbd_in old resize --no-progress --size 96M "vms/$T-src"
    expect_exit 1 vp move "$GUEST"
    assert_err "of another size than it has now"
    assert_as_before "$GUEST"
}

# What a guest was promised is there, and it goes on from there.
test_guest_goes_on_from_the_copies() {
    simple_policy
    idle_guest a --autostart --disk qcow2:128M:depth=2:fill=20 --disk raw:128M:fill=20 \
        --disk "rbd:old/vms/$T-src:128M:fill=20"
    expect_exit 0 vp move "$GUEST"
    assert_err "3 disks copied"
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb" \
        "vdc=rbd:flash/fast/$GUEST-vdc"
    assert_eq enable "$(autostart_of "$GUEST")" autostart
    verify_writes "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb" \
        "vdc=rbd:flash/fast/$GUEST-vdc"
    start_guest "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb" \
        "vdc=rbd:flash/fast/$GUEST-vdc"
    expect_exit 3 vp move "$GUEST"
}

# The guest starts, writes without an error, and the copy is gone; then it is moved live.
started_in_mid_copy() {
    slow_policy
    idle_guest a --disk "${1//NAME/$T-a}"
    start_vp move "$GUEST"
    wait_copying
    start_guest "$GUEST"
    wait_vp 1 60
    assert_err "the guest was started while its disks were copied"
    assert_err "virt-pivot move"
    assert_untouched "$GUEST"
    ! grep -q "FAIL" <(guest_log "$GUEST") || fail "the guest had errors: $(guest_log "$GUEST" | tail)"
    assert_eq 1 "$(sqlite3 "$STATE/journal.db" "SELECT count(*) FROM moves WHERE phase = 13")"
}
test_rbd_guest_is_started_in_mid_copy() {
    started_in_mid_copy rbd:old/vms/NAME-src:512M:fill=400:features=layering,exclusive-lock,object-map,fast-diff
}
test_qcow2_guest_is_started_in_mid_copy() { started_in_mid_copy qcow2:512M:depth=2:fill=400; }
test_raw_guest_is_started_in_mid_copy() { started_in_mid_copy raw:512M:fill=400; }

# Somebody who is no guest of this host's. One who writes at once, as no guest can, is refused; a
# moment later he may.
test_source_is_opened_in_mid_copy() {
    slow_policy
    idle_domain a --disk "rbd:old/vms/$T-src:512M:fill=400:features=layering,exclusive-lock"
    start_vp move "$GUEST"
    wait_copying
    wait_for 20 writes_to_source || fail "the source stays locked: $(tail -n 3 "$TEST_DIR/bench")"
    wait_vp 1 60
    assert_err "its source is used while it is copied"
    assert_as_before "$GUEST"
}

writes_to_source() {
    rbd_in old bench --io-type write --io-size 4K --io-total 64K "vms/$T-src" >"$TEST_DIR/bench" 2>&1
}

test_source_in_use_is_refused() {
    simple_policy
    idle_domain a --disk "rbd:old/vms/$T-src:64M"
    qemu-nbd --fork --persistent --pid-file "$TEST_DIR/nbd.pid" --socket "$TEST_DIR/nbd" \
        --format raw "rbd:vms/$T-src:conf=$(cluster_folder old)/ceph.conf" </dev/null
    expect_exit 1 vp move "$GUEST"
    kill "$(cat "$TEST_DIR/nbd.pid")"
    assert_err "the domain is off, but .* has the source image open"
    assert_as_before "$GUEST"
}

test_killed_in_mid_copy() {
    slow_policy
    idle_domain a --disk "rbd:old/vms/$T-src:512M:fill=400"
    start_vp move "$GUEST"
    wait_copying
    kill_vp
    expect_exit 0 vp recover
    assert_err "undone, everything is as it was"
    assert_as_before "$GUEST"
    simple_policy
    wait_for 60 unwatched "old/vms/$T-src" || fail "the dead process still watches"
    expect_exit 0 vp move "$GUEST"
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    compare_images "rbd:old/vms/$T-src" "rbd:flash/fast/$GUEST-vda"
}
unwatched() {
    [[ $(watchers "$1") == 0 ]]
}

# Somebody writes to the source before it goes on: into what was copied, into what was not, and where
# writes were under way.
test_killed_and_resumed() {
    slow_policy
    idle_domain a --disk "rbd:old/vms/$T-src:512M:fill=400" --disk raw:64M:fill=20
    start_vp move "$GUEST"
    wait_copying
    sleep 3
    kill_vp
    vp status >"$OUT"
    assert_out "'virt-pivot recover --resume $GUEST' goes on with its copy"
    wait_for 60 writes_all_over_the_source || fail "$(tail -n 3 "$TEST_DIR/bench")"
    expect_exit 0 vp recover --resume "$GUEST"
    assert_err "its definition names the copies"
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
    compare_images "rbd:old/vms/$T-src" "rbd:flash/fast/$GUEST-vda"
    compare_images "$(guest_folder "$GUEST")/vdb.raw" "rbd:flash/fast/$GUEST-vdb"
    assert_eq "10|1|10|1" "$(sqlite3 "$STATE/journal.db" \
        "SELECT phase, verdict FROM moves JOIN disks ON move = moves.id" | paste -sd'|')" "proof"
    expect_exit 3 vp recover --resume "$GUEST"
}
writes_all_over_the_source() {
    rbd_in old bench --io-type write --io-size 64K --io-total 16M --io-pattern rand \
        "vms/$T-src" >"$TEST_DIR/bench" 2>&1
}

# The guest ran before it goes on; it is killed once more while it does.
test_killed_and_resumed_after_the_guest_ran() {
    local verb
    slow_policy
    idle_guest a --disk qcow2:512M:depth=2:fill=400
    for verb in move "recover --resume"; do
        # shellcheck disable=SC2086
        start_vp $verb "$GUEST"
        wait_for 90 copies_as "$verb" || fail "it does not copy: $(tail "$ERR")"
        sleep 1
        kill_vp
        start_guest "$GUEST"
        wait_writes "$GUEST" 20
        shut_down "$GUEST"
    done
    expect_exit 0 vp recover --resume "$GUEST"
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    verify_writes "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    start_guest "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# Each life that copies begins the step that ends with the copy.
copies_as() {
    local lives=1
    [[ $1 == move ]] || lives=2
    copying && [[ $lives == "$(sqlite3 "$STATE/journal.db" \
        "SELECT count(*) FROM steps WHERE event = 'begin' AND phase = 7")" ]]
}

test_killed_and_not_resumed_under_a_guest() {
    slow_policy
    idle_guest a --disk raw:512M:fill=400
    start_vp move "$GUEST"
    wait_copying
    kill_vp
    start_guest "$GUEST"
    expect_exit 0 vp recover --resume "$GUEST"
    assert_err "its copy does not go on: the guest was started"
    assert_err "undone, everything is as it was"
    assert_untouched "$GUEST"
}

test_cancelled_paused_and_throttled() {
    slow_policy
    idle_domain a --disk "raw:256M:fill=200"
    start_vp move "$GUEST"
    wait_copying
    expect_exit 0 vp cancel "$GUEST"
    wait_vp 1 60
    assert_as_before "$GUEST"

    start_vp move "$GUEST"
    wait_copying
    expect_exit 0 vp pause "$GUEST"
    wait_for 20 is_paused
    local before
    before=$(copied)
    sleep 2
    assert_eq "$before" "$(copied)" "bytes copied in a pause"
    expect_exit 0 vp throttle "$GUEST" 2GiB
    expect_exit 0 vp resume "$GUEST"
    wait_vp 0 60
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    compare_images "$(guest_folder "$GUEST")/vda.raw" "rbd:flash/fast/$GUEST-vda"
}
copied() {
    sqlite3 "$STATE/journal.db" "SELECT copied FROM disks ORDER BY rowid DESC LIMIT 1"
}
# It says so some moments after it was asked.
is_paused() {
    local now
    now=$(copied)
    sleep 1
    [[ $now == "$(copied)" ]]
}

test_alone_libvirtd_restarts_in_mid_copy() {
    slow_policy
    idle_domain a --disk "raw:256M:fill=150"
    start_vp move "$GUEST"
    wait_copying
    lab libvirtd stop
    sleep 1
    lab libvirtd start
    wait_vp 0 120
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_definition_is_edited_in_mid_copy() {
    slow_policy
    idle_domain a --disk "raw:256M:fill=100"
    start_vp move "$GUEST"
    wait_copying
    virsh -q desc "$GUEST" --config "edited by hand"
    wait_vp 0 60
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(saved_image "$GUEST" vda)" "defined image"
    assert_eq "edited by hand" "$(virsh -q desc "$GUEST" --config)" "the edit"
}

test_request_is_carried_out_while_the_domain_is_off() {
    simple_policy
    sed -i "s/match: {}/match: {domain: '$T-*'}/" "$POLICY"
    idle_domain a --disk raw:64M:fill=5
    start_agent
    expect_exit 0 vp move "$GUEST" --queue
    wait_for 60 is_defined_on_flash || fail "it has not moved: $(agent_log)"
    stop_agent
    assert_defined "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
is_defined_on_flash() {
    [[ $(saved_image "$GUEST" vda) == "rbd:flash/fast/$GUEST-vda" ]]
}

# Without the hook the saved guest would come back on its old disk: here there is none.
test_managed_save_without_hook_is_refused() {
    simple_policy
    running_guest a --disk raw:64M:fill=5
    virsh -q managedsave "$GUEST"
    expect_exit 1 vp_root move "$GUEST"
    assert_err "its state is saved .* is not installed here"
    virsh -q start "$GUEST"
    assert_untouched "$GUEST"
}

test_managed_save_comes_back_on_the_copy() {
    two_hosts
    on_b simple_policy
    GUEST=$(on_b new_guest a --disk raw:96M:fill=10)
    on_b start_guest "$GUEST"
    wait_writes "$GUEST" 20
    on_b virsh -q managedsave "$GUEST"
    expect_exit 0 on_b vp move "$GUEST"
    assert_err "its state is saved"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(on_b saved_image "$GUEST" vda)" "defined image"
    on_b virsh -q start "$GUEST"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(on_b live_image "$GUEST" vda)" "live image"
    wait_writes "$GUEST" 20
    on_b verify_writes --snapshot "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    hook_was_called "restore begin $GUEST" || fail "the hook was not called"
}
