# The helper, libvirtd, QEMU or the host die; recover brings the move to an end.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

killed_in_mid_copy() {
    slow_policy
    running_guest "$@"
    start_vp move "$GUEST"
    wait_copying
    kill_vp KILL
}

recovered_after_sigkill() {
    killed_in_mid_copy a --autostart --disk raw:256M:fill=120
    vp status >"$TEST_DIR/status" 2>&1 || true
    grep -q "recover" "$TEST_DIR/status" || fail "status does not say what to do"
    expect_exit 0 vp recover
    assert_err "undone"
    assert_untouched "$GUEST"
    assert_eq enable "$(autostart_of "$GUEST")" autostart
    expect_exit 3 vp recover
    expect_exit 0 vp history
}
test_sigkill_in_the_dance() { DEFINITION=dance recovered_after_sigkill; }
test_sigkill_while_kept() { DEFINITION=keep recovered_after_sigkill; }

test_sigkill_of_a_uefi_guest_with_three_disks() {
    DEFINITION=dance killed_in_mid_copy a --uefi --disk qcow2:256M:depth=2:fill=120 \
        --disk raw:256M:fill=120 --disk "rbd:old/vms/$T-src:256M:fill=120"
    expect_exit 0 vp recover "$GUEST"
    assert_untouched "$GUEST"
}

test_next_move_recovers_by_itself() {
    DEFINITION=dance killed_in_mid_copy a --disk raw:256M:fill=120
    expect_exit 0 vp move "$GUEST" --bandwidth 1GiB
    assert_err "was left in phase"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_cancel_recovers_a_dead_move() {
    DEFINITION=dance killed_in_mid_copy a --disk raw:256M:fill=120
    expect_exit 0 vp cancel "$GUEST"
    assert_err "was undone: everything is as it was"
    assert_untouched "$GUEST"
    expect_exit 3 vp pause "$GUEST"
}

# Killed at some moment or other of a fast move; each time recover has to find the end.
test_sigkill_at_many_moments() {
    local i
    DEFINITION=dance simple_policy
    running_guest a --disk raw:96M:fill=30 --disk raw:64M:fill=30
    for i in 1 2 3 4 5 6 7 8; do
        start_vp move "$GUEST"
        sleep "$(awk -v i="$i" 'BEGIN { print 0.25 * i }')"
        kill_vp KILL 2>/dev/null || true
        expect_recovered
        if [[ $(live_image "$GUEST" vda) == rbd:* ]]; then
            assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
            return 0
        fi
        assert_untouched "$GUEST"
    done
}
expect_recovered() {
    local code=0
    vp recover >"$OUT" 2>"$ERR" || code=$?
    [[ $code == 0 || $code == 3 ]] || fail "recover: exit code $code"$'\n'"$(cat "$ERR")"
}

test_guest_killed_with_the_helper() {
    DEFINITION=dance killed_in_mid_copy a --autostart --disk raw:256M:fill=120
    virsh -q destroy "$GUEST"
    expect_exit 1 virsh -q dominfo "$GUEST"
    expect_exit 0 vp recover "$GUEST"
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
    assert_eq enable "$(autostart_of "$GUEST")" autostart
    no_target_left "$GUEST"
    start_guest "$GUEST"
    wait_writes "$GUEST" 10
    verify_writes "$GUEST"
}

test_saved_definition_is_a_file_for_virsh() {
    DEFINITION=dance killed_in_mid_copy a --disk raw:256M:fill=120
    assert_eq 1 "$(find "$STATE/definitions" -name "$GUEST-*.xml" | wc -l)" "saved definitions"
    assert_eq 600 "$(stat -c %a "$STATE"/definitions/*.xml)" mode
    assert_eq 600 "$(stat -c %a "$STATE/journal.db")" mode
    assert_eq "700 700" "$(stat -c %a "$STATE/locks" "$STATE/definitions" | xargs)" "folders' modes"
    cmp "$TEST_DIR/before.xml" "$(find "$STATE/definitions" -name "$GUEST-*.xml")"
    virsh -q define "$(find "$STATE/definitions" -name "$GUEST-*.xml")"
    expect_exit 0 vp recover
    assert_untouched "$GUEST"
}

test_alone_everything_dies() {
    DEFINITION=dance killed_in_mid_copy a --disk raw:256M:fill=120
    lab libvirtd kill
    kill -KILL "$(cat "$VP_LAB_DIR/libvirt/run/qemu/$GUEST.pid")"
    rm -f "$VP_LAB_DIR/libvirt/run/qemu/$GUEST".*
    lab libvirtd start
    expect_exit 0 vp recover
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
    no_target_left "$GUEST"
    start_guest "$GUEST"
    wait_writes "$GUEST" 10
    verify_writes "$GUEST"
}

test_alone_libvirtd_down_while_recovering() {
    DEFINITION=dance killed_in_mid_copy a --disk raw:256M:fill=120
    lab libvirtd kill
    expect_exit 1 vp recover
    assert_err "cannot connect"
    lab libvirtd start
    expect_exit 0 vp recover
    assert_untouched "$GUEST"
}
