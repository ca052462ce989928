# Somebody else's hands on the same domain: nothing of theirs is touched, nothing of the guest's is
# lost.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

mirror_is_ready() {
    virsh -q dumpxml "$GUEST" | grep -q "ready='yes'"
}

# The helper is killed, the mirror becomes ready, somebody pivots it by hand.
pivoted_by_hand_after_a_death() {
    simple_policy 'copy: {bandwidth: 40MiB, mode: background}'
    running_guest "$@" --disk raw:256M:fill=120
    start_vp move "$GUEST"
    wait_copying
    kill_vp KILL
    wait_for 60 mirror_is_ready
    virsh -q blockjob "$GUEST" vda --pivot
    wait_writes "$GUEST" 20
}

test_recover_after_a_pivot_by_hand() {
    DEFINITION=dance pivoted_by_hand_after_a_death a
    expect_exit 0 vp recover
    assert_err "finished"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_recover_after_a_pivot_by_hand_and_a_stop() {
    DEFINITION=keep pivoted_by_hand_after_a_death a
    virsh -q destroy "$GUEST"
    expect_exit 0 vp recover
    image_exists "flash/fast/$GUEST-vda" || fail "the only copy of the guest's writes was removed"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(saved_image "$GUEST" vda)" "defined image"
    verify_writes "$GUEST"
    start_guest "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_cancel_after_a_pivot_by_hand() {
    simple_policy 'copy: {bandwidth: 20MiB, mode: background}'
    running_guest a --disk raw:32M:fill=2 --disk raw:256M:fill=150
    start_vp move "$GUEST"
    wait_for 60 mirror_is_ready
    kill -STOP "$VP_PID"
    virsh -q blockjob "$GUEST" vda --pivot
    kill -TERM "$VP_PID"
    kill -CONT "$VP_PID"
    wait_vp 4
    assert_err "some disks moved"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(live_image "$GUEST" vda)"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(saved_image "$GUEST" vda)"
    assert_eq "$(live_image "$GUEST" vdb)" "$(saved_image "$GUEST" vdb)"
    ! image_exists "flash/fast/$GUEST-vdb" || fail "the target of vdb is left"
    wait_writes "$GUEST" 10
    verify_writes "$GUEST"
}

test_job_of_somebody_else_is_left_alone() {
    slow_policy
    running_guest a --disk raw:256M:fill=150
    start_vp move "$GUEST"
    wait_copying
    kill -STOP "$VP_PID"
    virsh -q blockjob "$GUEST" vda --abort
    virsh -q blockcopy "$GUEST" vda "$TEST_DIR/theirs.raw" --transient-job
    kill -CONT "$VP_PID"
    wait_vp 1
    assert_match "Block Copy" "$(virsh -q blockjob "$GUEST" vda 2>&1)" "their job"
    assert_eq "$TEST_DIR/theirs.raw" "$(xml_value "$GUEST" devices/disk/mirror/source/@file)"
    virsh -q blockjob "$GUEST" vda --abort
    assert_untouched "$GUEST"
}

test_autostart_switched_off_in_mid_copy() {
    DEFINITION=keep slow_policy
    running_guest a --autostart --disk raw:256M:fill=150
    start_vp move "$GUEST"
    wait_copying
    virsh -q autostart --disable "$GUEST"
    wait_vp 0
    assert_eq disable "$(autostart_of "$GUEST")" autostart
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_source_that_may_only_be_read() {
    slow_policy
    sed -i "0,/user: libvirt/s//user: readonly/; 0,/secret: .*/s//secret: $VP_LAB_SECRET_old/; \
        0,/keyring: .*/s##keyring: $VP_LAB_READONLY_KEYRING_old#" "$POLICY"
    running_guest a --disk "rbd:old/vms/$T-src:256M:fill=150:features=layering,exclusive-lock"
    start_vp move "$GUEST"
    wait_copying
    kill -TERM "$VP_PID"
    wait_vp 1
    assert_err "holes will be copied as data"
    assert_untouched "$GUEST"
    expect_exit 0 vp move "$GUEST" --bandwidth 1GiB
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_recover_by_another_connection_touches_nothing() {
    slow_policy
    running_guest a --disk raw:256M:fill=150
    start_vp move "$GUEST"
    wait_copying
    kill_vp KILL
    local VP_LAB_URI_OF_LAB=$VP_LAB_URI
    VP_LAB_URI=test:///default expect_exit 1 vp recover
    assert_err "was begun on"
    VP_LAB_URI=$VP_LAB_URI_OF_LAB expect_exit 0 vp recover
    assert_untouched "$GUEST"
}
