# Guests that migrate to a second host, where the hook is installed: their disks land on RBD.
# shellcheck shell=bash disable=SC2154,SC2016
. "$LAB_FOLDER/migrations.sh"

# --- arrivals

# arrives SPEC [OPTION]...: between hosts that share no disk, sizes known from the metadata.
arrives() {
    local spec=$1 source
    shift
    guest_to_migrate_between_strangers a --disk "$spec"
    source=$(live_image "$GUEST" vda)
    chmod 0700 "$(guest_folder "$GUEST")"
    move_to_b "$GUEST" "$@"
    remember "$source"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_size "flash/fast/$GUEST-vda"
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_boots_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    unchanged
    on_b no_stale_definition
}
test_raw_file_arrives_on_rbd() { arrives "raw:$SIZE:fill=20"; }
test_qcow2_peer_to_peer() { arrives "qcow2:$SIZE:depth=2:fill=20" --p2p; }

no_stale_definition() {
    vp check >"$OUT" 2>"$ERR" || true # other tests' guests are on this host, too
    ! grep -E "^error .*($GUEST|not settled)" "$OUT" || fail "check still says so: $(cat "$OUT")"
    expect_exit 0 vp status
    ! grep -q "$GUEST" "$OUT" || fail "status still names $GUEST: $(cat "$OUT")"
}

# No agent on the source: the sizes are read from the files, which are visible here.
test_two_disks_of_visible_files() {
    guest_to_migrate a --disk "raw:$SIZE:fill=10" --disk "qcow2:$SIZE:fill=10"
    on_b start_agent
    remember "$(live_image "$GUEST" vda)" "$(live_image "$GUEST" vdb)"
    move_to_b "$GUEST" "$(without_metadata "$GUEST")"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
    assert_size "flash/fast/$GUEST-vda"
    assert_size "flash/fast/$GUEST-vdb"
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
    assert_boots_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
}

# The other one is copied to a plain file, as libvirt does without us.
test_one_of_two_disks() {
    local own
    guest_to_migrate_between_strangers a --disk "raw:$SIZE:fill=10" --disk raw:64M:fill=10
    on_b sed -i 's/match: {}/match: {disk: vda}/' "$TEST_DIR/b/policy.yaml"
    own=$SECOND_HOST/own/$GUEST/vdb.raw
    truncate -s 64M "$own"
    move_to_b "$GUEST"
    assert_runs_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq "$(guest_folder "$GUEST")/vdb.raw" "$(on_b live_image "$GUEST" vdb)"
    on_b verify_writes "$GUEST" "vdb=$own"
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" \
        "vdb=$(guest_folder "$GUEST")/vdb.raw"
}

test_transient_migration() {
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    on_b start_agent
    migrate_to_b "$GUEST" --live --copy-storage-all
    assert_runs_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq "shut off" "$(state_of "$GUEST")" "state on the first host"
    assert_eq no "$(on_b is_persistent "$GUEST")" persistent
    wait_for 30 on_b nothing_under_way
}

# --- on the way to the definition that is put right

test_stale_definition_is_told_until_the_agent_comes() {
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    on_b start_agent
    on_b kill_agent
    move_to_b "$GUEST"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq "$(guest_folder "$GUEST")/vda.raw" "$(on_b saved_image "$GUEST" vda)"
    stale_start_is_told
    on_b start_agent
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    on_b no_stale_definition
}

stale_start_is_told() {
    expect_exit 1 on_b vp check
    assert_out "^error .*'$GUEST'.*not settled: a start from its definition would use .*/vda.raw"
    expect_exit 0 on_b vp status
    assert_out "its persistent definition still names .*/vda.raw"
}

# Killed a moment after it was told of the guest, over and over.
test_agent_killed_while_it_puts_it_right() {
    local i
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    move_to_b "$GUEST"
    for i in 0 0.02 0.05 0.1 0.2; do
        on_b start_agent
        sleep "$i"
        on_b kill_agent
    done
    on_b start_agent
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    wait_for 20 on_b nothing_under_way
}

# The second host loses its power before any agent has come: the definition there would start an
# old disk, and nobody but an operator knows whether that is right.
test_guest_dies_before_it_is_put_right() {
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    move_to_b "$GUEST"
    wait_writes "$GUEST" 10
    kill -KILL "$(cat "$SECOND_HOST/libvirt/run/qemu/$GUEST.pid")"
    wait_for 20 on_b is_off
    stale_start_is_told
    wait_for 60 needs_operator || fail "recover does not ask for an operator: $(cat "$OUT" "$ERR")"
    on_b verify_writes "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq "$(guest_folder "$GUEST")/vda.raw" "$(on_b saved_image "$GUEST" vda)" "definition"
    expect_exit 0 on_b vp recover --keep "$GUEST"
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    on_b start_guest "$GUEST"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
is_off() {
    [[ $(state_of "$GUEST") == "shut off" ]]
}
needs_operator() {
    local code=0
    on_b vp recover >"$OUT" 2>"$ERR" || code=$?
    ((code == 4))
}

# --- refusals: the guest goes on at the source

# One guest, refused for one reason after the other.
test_refusals() {
    local policy=$TEST_DIR/b/policy.yaml
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    sed -i 's#flash/fast#flash/nowhere#' "$policy"
    refused_by_hook "$GUEST" ".*nowhere"
    echo "nonsense: [" >>"$policy"
    refused_by_hook "$GUEST" ".*policy.yaml:[0-9]+:[0-9]+"
    on_b simple_policy
    image_of_somebody_else
    expect_exit 1 move_to_b "$GUEST"
    assert_err "virt-pivot: domain '$GUEST': .*exists already"
    assert_eq yes "$(rbd_in flash image-meta get "fast/$GUEST-vda" theirs)" "their image"
    rbd_in flash rm --no-progress "fast/$GUEST-vda"
    assert_stayed "$GUEST"
    chmod 0500 "$TEST_DIR/b/state" "$TEST_DIR/b/state"/*/
    chmod 0400 "$TEST_DIR/b/state"/journal.db*
    refused_by_hook "$GUEST" ".*"
    chmod -R u+rwX "$TEST_DIR/b/state"
    own_disks_on_b "$GUEST"
    refused_by_hook "$GUEST" ".*size is not known" "$(without_metadata "$GUEST")"
}
image_of_somebody_else() {
    rbd_in flash create --size "${SIZE}B" "fast/$GUEST-vda"
    rbd_in flash image-meta set "fast/$GUEST-vda" theirs yes
}

# QEMU does not mirror to a target of another size, be it larger.
test_wrong_size_in_the_metadata() {
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    own_disks_on_b "$GUEST"
    virsh -q metadata "$GUEST" urn:virt-pivot:1:disks --key pivot --live \
        --set "<disks><disk target='vda' capacity='134217728' local='yes'/></disks>"
    expect_exit 1 move_to_b "$GUEST"
    assert_eq running "$(state_of "$GUEST")" "state on the first host"
    is_not_on_b "$GUEST"
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
    wait_writes "$GUEST" 10
    verify_writes "$GUEST"
}

test_on_error_pass() {
    local own
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    on_b sed -i '$a on_error: pass' "$TEST_DIR/b/policy.yaml"
    image_of_somebody_else
    own_disks_on_b "$GUEST"
    own=$SECOND_HOST/own/$GUEST/vda.raw
    truncate -s "$SIZE" "$own"
    move_to_b "$GUEST"
    assert_eq "$(guest_folder "$GUEST")/vda.raw" "$(on_b live_image "$GUEST" vda)"
    wait_writes "$GUEST" 10
    on_b verify_writes "$GUEST" "vda=$own"
    assert_eq 0 "$(watchers "flash/fast/$GUEST-vda")" "watchers of the other's image"
}

test_no_policy_passes_unchanged() {
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    rm "$TEST_DIR/b/policy.yaml"
    own_disks_on_b "$GUEST"
    truncate -s "$SIZE" "$SECOND_HOST/own/$GUEST/vda.raw"
    move_to_b "$GUEST"
    hook_was_called "migrate begin $GUEST" || fail "calls: $(cat "$TEST_DIR/hook.log")"
    wait_writes "$GUEST" 10
    on_b verify_writes "$GUEST" "vda=$SECOND_HOST/own/$GUEST/vda.raw"
}

# Alone: libvirtd of the second host starts again, which calls the hook for every guest there, and
# kills those for which it fails.
test_alone_broken_policy_disturbs_no_guest() {
    local other
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    other=$(on_b new_guest b --disk raw:64M)
    on_b start_guest "$other"
    echo "nonsense: [" >>"$TEST_DIR/b/policy.yaml"
    refused_by_hook "$GUEST" ".*policy.yaml:[0-9]+:[0-9]+"
    on_b lab libvirtd restart
    wait_for 30 hook_was_called "reconnect begin $other" || fail "calls: $(cat "$TEST_DIR/hook.log")"
    assert_eq running "$(on_b state_of "$other")"
    wait_writes "$other" 10
    on_b verify_writes "$other"
    on_b virsh -q destroy "$other"
    on_b start_guest "$other"
    wait_writes "$GUEST" 10
}

test_alone_target_cluster_hangs_at_migration() {
    local begin code=0
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    on_b start_agent
    lab cluster flash STOP mon
    begin=$SECONDS
    move_to_b "$GUEST" >"$OUT" 2>"$ERR" || code=$?
    begin=$((SECONDS - begin))
    lab cluster flash CONT mon
    assert_eq 1 "$code" "exit code of virsh migrate"
    ((begin <= 60)) || fail "it took $begin s"
    assert_err "virt-pivot: domain '$GUEST': "
    assert_stayed "$GUEST"
}

# --- broken off half-way

test_cancelled_migration() {
    guest_to_migrate_between_strangers a --disk "raw:$SIZE:fill=80"
    start_migration "$GUEST"
    image_exists "flash/fast/$GUEST-vda" || fail "there is no target yet"
    virsh domjobabort "$GUEST"
    migration_ended 1
    assert_stayed "$GUEST"
    assert_eq "" "$(rbd_in flash trash ls fast | grep "$GUEST" || true)" "images in the trash"
    move_to_b "$GUEST"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# Nobody watches. Sets GUEST.
cancelled_without_an_agent() {
    guest_to_migrate a --disk "raw:$SIZE:fill=80"
    start_migration "$GUEST"
    virsh domjobabort "$GUEST"
    migration_ended 1
    assert_eq running "$(state_of "$GUEST")"
    image_exists "flash/fast/$GUEST-vda" || fail "who removed the target?"
    on_b vp status >"$OUT"
    assert_out "$GUEST"
}

# Nobody knows whether the guest ran on the first try's image: it is kept in the trash. The second
# one is put right without an agent.
test_cancelled_migration_is_tried_again_at_once() {
    cancelled_without_an_agent
    move_to_b "$GUEST"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq 1 "$(rbd_in flash trash ls fast | grep -c " $GUEST-vda\$")" "images in the trash"
    expect_exit 0 on_b vp recover
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    on_b nothing_under_way
    assert_boots_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# An agent that comes later does not know either whether the guest ran here: an operator does.
test_cancelled_migration_that_nobody_watched() {
    cancelled_without_an_agent
    on_b start_agent
    wait_for 60 agent_asks_an_operator || fail "$(on_b agent_log)"
    image_exists "flash/fast/$GUEST-vda" || fail "the image was not kept"
    on_b vp status >"$OUT"
    assert_out "recover --keep $GUEST"
    operator_removes_the_image
}
agent_asks_an_operator() {
    on_b agent_log | grep -q "recover --keep $GUEST"
}
operator_removes_the_image() {
    rbd_in flash rm --no-progress "fast/$GUEST-vda"
    expect_exit 0 on_b vp recover
    assert_stayed "$GUEST"
    on_b nothing_under_way
}

# In mid-migration, which leaves a gap in what the agent watched. And again when the guest has
# arrived: the agent sees nothing of the arrival but what it finds when the daemon is there again.
test_alone_destination_libvirtd_killed() {
    guest_to_migrate_between_strangers a --disk "raw:$SIZE:fill=80"
    start_migration "$GUEST"
    on_b lab libvirtd kill
    wait_for 60 is_gone "$MIGRATION_PID" || fail "the migration does not end"
    on_b lab libvirtd start
    wait_for 60 agent_asks_an_operator || fail "$(on_b agent_log)"
    operator_removes_the_image
    kill -STOP "$(on_b agent_pid)"
    move_to_b "$GUEST"
    on_b lab libvirtd kill
    kill -CONT "$(on_b agent_pid)"
    sleep 1
    on_b lab libvirtd start
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# --- what the hook leaves for the agent

# A guest that is off has nothing that could be copied: its files are on both hosts.
test_offline_migration() {
    two_hosts
    on_b simple_policy
    on_b start_agent
    running_guest a --disk "raw:$SIZE:fill=10"
    virsh -q destroy "$GUEST"
    migrate_to_b "$GUEST" --offline --persistent --undefinesource
    on_b save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
    wait_for 20 on_b request_is "$GUEST" waiting
    remember "$(guest_folder "$GUEST")/vda.raw"
    unchanged
    on_b start_guest "$GUEST"
    wait_for 60 on_b request_is "$GUEST" gone
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq migrate "$(on_b sqlite3 "$TEST_DIR/b/state/journal.db" 'SELECT reason FROM requests')"
}

# A definition made of a running guest's XML, with all that betrays it: nothing of the guest's is
# lost, though the hook may take it for one that runs.
test_offline_migration_of_what_looks_alive() {
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    simple_policy
    start_agent
    wait_for 20 sizes_are_known "$GUEST" || fail "no sizes: $(agent_log)"
    kill_agent
    virsh -q dumpxml --security-info "$GUEST" >"$TEST_DIR/live.xml"
    virsh -q define "$TEST_DIR/live.xml"
    virsh -q destroy "$GUEST"
    remember "$(guest_folder "$GUEST")/vda.raw"
    migrate_to_b "$GUEST" --offline --persistent --undefinesource
    unchanged
    on_b start_agent
    wait_for 30 on_b defined_as_a_file || true
    on_b start_guest "$GUEST"
    wait_writes "$GUEST" 10
    on_b verify_writes "$GUEST"
}
defined_as_a_file() {
    [[ $(saved_image "$GUEST" vda) == /* ]]
}

# Networks are mapped in an offline migration: a guest that runs would need bridges on the machine.
test_networks_are_mapped() {
    local place="<memballoon model='none'\/>" file=$TEST_DIR/with.xml
    two_hosts
    on_b simple_policy
    printf 'networks: {blue: green, br-old: br-new}\n' >>"$TEST_DIR/b/policy.yaml"
    GUEST=$(new_guest a --disk raw:16M)
    save_xml "$GUEST" "$file"
    sed -i "s/$place/<interface type='network'><source network='blue'\/><model type='virtio'\/> \
<mac address='52:54:00:11:22:33'\/><\/interface><interface type='bridge'><source bridge='br-old'\/> \
<\/interface><interface type='network'><source network='red'\/><\/interface>&/" "$file"
    virsh -q define "$file"
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    migrate_to_b "$GUEST" --offline --persistent --undefinesource
    on_b save_xml "$GUEST" "$TEST_DIR/after.xml"
    sed "s/network='blue'/network='green'/; s/bridge='br-old'/bridge='br-new'/" \
        "$TEST_DIR/before.xml" >"$TEST_DIR/expected.xml"
    grep -c "'green'\|'br-new'" "$TEST_DIR/expected.xml" | grep -qx 2
    diff "$TEST_DIR/expected.xml" "$TEST_DIR/after.xml"
}

# What is shared arrives as it is, byte for byte, and moves afterwards.
test_shared_disk_moves_afterwards() {
    guest_to_migrate a --disk "rbd:old/vms/$T-src:$SIZE:fill=10"
    capture_hook
    migrate_to_b "$GUEST" --live --persistent --undefinesource
    assert_eq 0 "$(stat -c %s "$TEST_DIR/hook.out")" "bytes on the hook's stdout"
    grep -q "$T-src" "$TEST_DIR/hook.in" || fail "nothing captured"
    assert_arrived "$GUEST" "vda=rbd:old/vms/$T-src"
    on_b start_agent
    wait_for 60 defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" || fail "$(on_b agent_log)"
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq 0 "$(watchers "old/vms/$T-src")" "watchers of the source"
}
# The hook's input and output of «migrate».
capture_hook() {
    cat >"$TEST_DIR/capture" <<END
#!/bin/bash
[[ \$2 == migrate ]] || exec "$(on_b hook_program)" "\$@"
tee "$TEST_DIR/hook.in" | "$(on_b hook_program)" "\$@" | tee "$TEST_DIR/hook.out"
exit "\${PIPESTATUS[1]}"
END
    chmod 0755 "$TEST_DIR/capture"
    echo "HOOK_PROGRAM=$TEST_DIR/capture" >>"$TEST_DIR/hook.env"
}

# While its disk is copied, libvirt lets the guest go nowhere, transient or not; afterwards it does.
test_migration_in_mid_move() {
    DEFINITION=dance leaves_after_its_move a
    DEFINITION=keep leaves_after_its_move b
}
leaves_after_its_move() {
    guest_to_migrate "$1" --disk "rbd:old/vms/$T-src-$1:128M:fill=80"
    slow_policy
    start_vp move "$GUEST"
    wait_copying
    expect_exit 1 migrate_to_b "$GUEST" --live --persistent --undefinesource
    assert_err "block job"
    wait_vp 0
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    migrate_to_b "$GUEST" --live --persistent --undefinesource
    assert_arrived "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_boots_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
