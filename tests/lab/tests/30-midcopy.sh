# What may happen in the middle of a copy, and what is left afterwards.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

# A move of one disk under way, slow enough to be disturbed. Sets GUEST.
begin_slow_move() {
    slow_policy
    running_guest a "$@" --disk raw:256M:fill=120
    start_vp move "$GUEST"
    wait_copying
}

test_ctrl_c_cancels() {
    begin_slow_move
    kill -INT "$VP_PID"
    wait_vp 1
    assert_err "everything is as it was: cancelled"
    assert_untouched "$GUEST"
}

test_sigterm_cancels_with_the_definition_kept() {
    DEFINITION=keep begin_slow_move
    kill -TERM "$VP_PID"
    wait_vp 1
    assert_untouched "$GUEST"
}

test_cancel_from_another_terminal() {
    begin_slow_move --autostart
    local out=$OUT err=$ERR
    OUT=$TEST_DIR/out2 ERR=$TEST_DIR/err2
    expect_exit 0 vp cancel "$GUEST"
    OUT=$out ERR=$err wait_vp 1
    assert_untouched "$GUEST"
    assert_eq enable "$(autostart_of "$GUEST")" "autostart"
}

copied() {
    vp status "$GUEST" --format json >"$TEST_DIR/status.json"
    json "$TEST_DIR/status.json" 'd["moves"][0]["disks"][0]["copied"]'
}

test_pause_resume_and_throttle() {
    begin_slow_move
    local out=$OUT err=$ERR before after
    OUT=$TEST_DIR/out2 ERR=$TEST_DIR/err2
    expect_exit 0 vp pause "$GUEST"
    sleep 4
    before=$(copied)
    sleep 4
    after=$(copied)
    ((after - before < 8000000)) || fail "paused, but it copied $((after - before)) bytes in 4 s"
    expect_exit 0 vp resume "$GUEST"
    expect_exit 0 vp throttle "$GUEST" 1GiB/s
    OUT=$out ERR=$err wait_vp 0 60
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_status_while_it_copies() {
    begin_slow_move
    expect_exit_2() { OUT=$TEST_DIR/out2 ERR=$TEST_DIR/err2 expect_exit "$@"; }
    expect_exit_2 0 vp status
    grep -q "$GUEST" "$TEST_DIR/out2" || fail "status does not show $GUEST"
    wait_vp 0
    assert_err "vda .* (10|[2-9]0|100) %|100 %"
    expect_exit 0 vp history --format json
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_detached() {
    slow_policy
    running_guest a --disk raw:256M:fill=120
    expect_exit 0 vp move --detach "$GUEST" --format json
    assert_err "in the background"
    assert_eq "under way" "$(json "$OUT" 'd["outcome"]')"
    assert_eq 1 "$(json "$OUT" 'd["move"]')"
    wait_for 90 moved_to_flash
    wait_for 20 no_move_under_way
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
moved_to_flash() {
    [[ $(saved_image "$GUEST" vda 2>/dev/null) == "rbd:flash/fast/$GUEST-vda" ]]
}
no_move_under_way() {
    vp status 2>&1 | grep -q "no move is under way"
}

test_guest_destroyed() {
    local DEFINITION
    for DEFINITION in dance keep; do
        slow_policy
        running_guest "$DEFINITION" --autostart --disk raw:256M:fill=120
        start_vp move "$GUEST"
        wait_copying
        virsh -q destroy "$GUEST"
        wait_vp 1
        assert_err "guest was stopped"
        assert_eq "shut off" "$(state_of "$GUEST")"
        save_xml "$GUEST" "$TEST_DIR/after.xml"
        cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
        assert_eq enable "$(autostart_of "$GUEST")" autostart
        no_target_left "$GUEST"
        verify_writes "$GUEST"
    done
}

test_guest_powers_itself_off() {
    slow_policy
    running_guest a --cmdline "vp.rate=20 vp.off_after=150" --disk raw:256M:fill=150
    start_vp move "$GUEST"
    wait_vp 1
    assert_err "guest was stopped|not running"
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
    no_target_left "$GUEST"
    verify_writes "$GUEST"
}

test_guest_resets_in_mid_copy() {
    begin_slow_move
    virsh -q reset "$GUEST"
    wait_vp 0
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_guest_paused_in_mid_copy() {
    begin_slow_move
    virsh -q suspend "$GUEST"
    wait_vp 0
    assert_eq paused "$(state_of "$GUEST")"
    virsh -q resume "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_job_aborted_by_somebody() {
    begin_slow_move
    virsh -q blockjob "$GUEST" vda --abort
    wait_vp 1
    assert_err "mirror of disk vda ended|still writes to its source"
    assert_untouched "$GUEST"
}

test_two_disks_one_job_aborted() {
    slow_policy
    running_guest a --disk raw:256M:fill=120 --disk raw:64M:fill=10
    start_vp move "$GUEST"
    wait_copying
    virsh -q blockjob "$GUEST" vda --abort
    wait_vp 1
    assert_untouched "$GUEST"
}

# Somebody's change of the definition is kept, and gets the new disks.
redefined_in_mid_copy() {
    slow_policy
    running_guest a --disk raw:256M:fill=120
    start_vp move "$GUEST"
    wait_copying
    sed 's#<memory #<title>edited by an operator</title>&#' "$TEST_DIR/before.xml" >"$TEST_DIR/theirs.xml"
    virsh -q define "$TEST_DIR/theirs.xml"
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    wait_vp 0
    assert_eq "edited by an operator" "$(xml_value "$GUEST" title --inactive)"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
test_redefined_by_somebody_in_the_dance() { DEFINITION=dance redefined_in_mid_copy; }
test_redefined_by_somebody_while_kept() { DEFINITION=keep redefined_in_mid_copy; }

test_renamed_by_somebody() {
    DEFINITION=keep begin_slow_move
    kill -STOP "$VP_PID"
    virsh -q destroy "$GUEST"
    virsh -q domrename "$GUEST" "$GUEST-new"
    kill -CONT "$VP_PID"
    wait_vp 1
    no_target_left "$GUEST"
    assert_eq "$TEST_DIR/../../guests/$GUEST/vda.raw" \
        "$TEST_DIR/../../guests/$GUEST/$(basename "$(saved_image "$GUEST-new" vda)")"
    assert_eq yes "$(is_persistent "$GUEST-new")"
    virsh -q domrename "$GUEST-new" "$GUEST"
}

test_alone_libvirtd_killed() {
    local DEFINITION
    for DEFINITION in dance keep; do
        slow_policy
        running_guest "$DEFINITION" --disk raw:256M:fill=120
        start_vp move "$GUEST"
        wait_copying
        lab libvirtd kill
        sleep 2
        lab libvirtd start
        wait_vp 0 120
        assert_err "waiting for it"
        assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    done
}

test_alone_libvirtd_restarted() {
    begin_slow_move
    lab libvirtd restart
    wait_vp 0 120
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_alone_target_out_of_space() {
    slow_policy
    sed -i 's#flash/fast#flash/bulk#' "$POLICY"
    running_guest a --disk raw:512M:fill=400
    ceph_in flash osd pool set-quota bulk max_bytes 1000000000 >/dev/null 2>&1
    start_vp move "$GUEST"
    wait_copying
    ceph_in flash osd pool set-quota bulk max_bytes 50000000 >/dev/null 2>&1
    wait_for 100 is_gone "$VP_PID" || true
    ceph_in flash osd pool set-quota bulk max_bytes 0 >/dev/null 2>&1
    local code=0
    wait_for 60 is_gone "$VP_PID" || fail "it does not end"
    wait "$VP_PID" || code=$?
    [[ $code == 1 || $code == 4 ]] || fail "exit code $code"
    assert_err "ran out of space|full"
    if [[ $code == 4 ]]; then
        expect_exit 0 vp recover
    fi
    assert_untouched "$GUEST"
}

test_alone_target_cluster_hangs() {
    slow_policy
    echo "limits: {stuck_after: 8s}" >>"$POLICY"
    running_guest a --disk raw:256M:fill=150
    start_vp move "$GUEST"
    wait_copying
    lab cluster flash KILL osd
    wait_vp 4 180
    assert_err "stood still"
    assert_err "virt-pivot recover"
    assert_eq yes "$(is_persistent "$GUEST")" "persistent while the job hangs"
    wait_writes "$GUEST" 10
    lab cluster flash start osd
    expect_exit 0 vp recover "$GUEST"
    assert_untouched "$GUEST"
}

test_alone_target_osd_restarts() {
    begin_slow_move
    lab cluster flash KILL osd
    sleep 3
    lab cluster flash start osd
    wait_vp 0 150
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
