# The way back: a guest that has moved, and written since, returns to the disks that it had.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

# The number of the newest move.
newest_move() {
    vp history --format json >"$TEST_DIR/history.json"
    json "$TEST_DIR/history.json" 'max(m["id"] for m in d["moves"])'
}
move_is() {
    vp history --format json >"$TEST_DIR/history.json"
    assert_eq "$2" "$(json "$TEST_DIR/history.json" \
        "[m['phase'] for m in d['moves'] if m['id'] == $1][0]")" "phase of move $1"
}

# A guest that has moved, and written on its new disks. Sets GUEST, MOVE and OLD, the images of
# vda, vdb, … before.
moved_guest() {
    local disk
    running_guest "$@"
    OLD=()
    for disk in $(virsh -q domblklist "$GUEST" | awk '{ print $1 }'); do
        OLD+=("$disk=$(live_image "$GUEST" "$disk")")
    done
    expect_exit 0 vp move "$GUEST"
    MOVE=$(newest_move)
    wait_writes "$GUEST" 20
}

# The guest writes to its old disks, live and by its definition, which is the one that it had, to
# the byte; no acknowledged write is lost, and none after the next start either.
assert_back() {
    local pair
    for pair in "${OLD[@]}"; do
        assert_eq "${pair#*=}" "$(live_image "$GUEST" "${pair%%=*}")" "live image of ${pair%%=*}"
    done
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml" || fail "the definition is another"
    assert_eq yes "$(is_persistent "$GUEST")" persistent
    wait_writes "$GUEST" 20
    verify_writes "$GUEST"
    move_is "$MOVE" undone
}
assert_back_after_reboot() {
    local pair
    assert_back
    virsh -q destroy "$GUEST"
    start_guest "$GUEST"
    for pair in "${OLD[@]}"; do
        assert_eq "${pair#*=}" "$(live_image "$GUEST" "${pair%%=*}")" "live image of ${pair%%=*}"
    done
    wait_writes "$GUEST" 10
    verify_writes "$GUEST"
}

goes_there_and_back() {
    local DEFINITION spec
    for DEFINITION in dance keep; do
        simple_policy "qos: {iops: 5000}" "driver: {cache: none, discard: unmap}"
        spec=${1//NAME/$T-$DEFINITION}
        moved_guest "$DEFINITION" --autostart --disk "$spec"
        expect_exit 0 vp undo "$MOVE"
        assert_out "back on"
        assert_back_after_reboot
        assert_eq enable "$(autostart_of "$GUEST")" autostart
        image_exists "flash/fast/$GUEST-vda" || fail "the image that it left is gone"
    done
}
test_rbd_there_and_back() { goes_there_and_back rbd:old/vms/NAME-src:128M:fill=30; }
test_raw_file_there_and_back() { goes_there_and_back raw:128M:fill=30; }
test_qcow2_chain_there_and_back() {
    local layer
    DEFINITION=dance simple_policy
    moved_guest a --disk qcow2:128M:depth=3:fill=30
    md5sum "$(guest_folder "$GUEST")"/vda.[12].qcow2 >"$TEST_DIR/layers"
    expect_exit 0 vp undo "$MOVE"
    assert_back_after_reboot
    for layer in 3 2; do
        qemu-img info -U "$(guest_folder "$GUEST")/vda.$layer.qcow2" |
            grep -q "^backing file: .*vda.$((layer - 1)).qcow2" || fail "layer $layer stands alone"
    done
    md5sum --quiet -c "$TEST_DIR/layers" || fail "a backing file was written to"
}
test_block_device_there_and_back() { goes_there_and_back block:128M:fill=30; }
test_nbd_export_there_and_back() { goes_there_and_back nbd:64M:tcp:fill=10; }

# The running guest has it by its path until its next start.
test_volume_there_and_back() {
    local old
    simple_policy
    moved_guest a --disk volume:64M:fill=10
    old=("${OLD[@]}")
    expect_exit 0 vp undo "$MOVE"
    OLD=("vda=$VP_LAB_DIR/pool/$GUEST-vda")
    assert_back
    virsh -q destroy "$GUEST"
    start_guest "$GUEST"
    OLD=("${old[@]}")
    assert_back
}

# What has become zero since, above data of a lower layer, is zero afterwards; what lay on the old
# disk is written over. The guest does not run meanwhile, so that both can be compared whole.
test_old_contents_do_not_shine_through() {
    local file
    simple_policy "driver: {discard: unmap}"
    moved_guest a --disk qcow2:64M:depth=2:fill=40 --disk raw:64M:fill=40
    virsh -q suspend "$GUEST"
    "$PYTHON" - "$VP_LAB_DIR/ceph/flash/ceph.conf" "$GUEST" <<'END'
import sys
import rados
import rbd
with rados.Rados(conffile=sys.argv[1]) as cluster, cluster.open_ioctx("fast") as pool:
    for target in "vda", "vdb":
        with rbd.Image(pool, f"{sys.argv[2]}-{target}") as image:
            image.discard(0, 16 << 20)
            image.write(bytes(1 << 20), 20 << 20)
END
    expect_exit 0 vp undo "$MOVE"
    virsh -q destroy "$GUEST"
    for file in vda.2.qcow2 vdb.raw; do
        rbd_in flash export --no-progress "fast/$GUEST-${file%%.*}" "$TEST_DIR/export"
        qemu-img compare -F raw -f "${file##*.}" "$(guest_folder "$GUEST")/$file" \
            "$TEST_DIR/export" || fail "$file holds something else"
        rm "$TEST_DIR/export"
    done
}

test_three_disks_there_and_back() {
    slow_policy
    moved_guest a --disk qcow2:96M:depth=2:fill=20 --disk raw:96M:fill=20 \
        --disk "rbd:old/vms/$T-src:96M:fill=20"
    expect_exit 0 vp undo "$MOVE" --bandwidth 1GiB
    assert_err "3 disks ready to pivot"
    assert_back_after_reboot
}

# A domain that is off goes back as it is, with what the guest had written on its new disks.
# goes_back_while_off VP GUEST-OPTION...
goes_back_while_off() {
    local vp=$1
    shift
    simple_policy "driver: {cache: none, discard: unmap}"
    moved_guest a --autostart "$@"
    virsh -q destroy "$GUEST"
    expect_exit 0 "$vp" undo "$MOVE"
    assert_out "back on"
    assert_eq "shut off" "$(state_of "$GUEST")"
    verify_writes "$GUEST" "${OLD[@]}"
    start_guest "$GUEST"
    assert_back
    assert_eq enable "$(autostart_of "$GUEST")" autostart
}
test_rbd_goes_back_while_off() { goes_back_while_off vp --disk "rbd:old/vms/$T-src:128M:fill=30"; }
test_files_go_back_while_off() {
    local layers
    goes_back_while_off vp_root --disk qcow2:128M:depth=3:fill=30 --disk raw:128M:fill=30
    layers=$(guest_folder "$GUEST")
    qemu-img info -U "$layers/vda.3.qcow2" | grep -q "^backing file: .*vda.2.qcow2" ||
        fail "the uppermost layer stands alone"
}
test_block_device_goes_back_while_off() { goes_back_while_off vp_root --disk block:128M:fill=30; }
test_nbd_export_goes_back_while_off() { goes_back_while_off vp --disk nbd:64M:tcp:fill=10; }
test_volume_goes_back_while_off() { goes_back_while_off vp_root --disk volume:64M:fill=10; }

# Guest and move both off, from the first to the last; the copy is what it was.
test_domain_that_never_ran_there_and_back() {
    simple_policy
    GUEST=$(new_guest a --disk "rbd:old/vms/$T-src:256M:fill=20" --disk qcow2:64M:depth=2:fill=20)
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    expect_exit 0 vp_root move "$GUEST"
    MOVE=$(newest_move)
    expect_exit 0 vp_root undo "$MOVE"
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml" || fail "the definition is another"
    compare_images "rbd:old/vms/$T-src" "rbd:flash/fast/$GUEST-vda"
    move_is "$MOVE" undone
    expect_exit 0 vp_root undo "$(newest_move)"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(saved_image "$GUEST" vda)" "forth again"
}

# The guest is started from its new disks while they are copied back: it goes on there.
test_guest_is_started_while_it_goes_back() {
    slow_policy
    moved_guest a --disk "rbd:old/vms/$T-src:512M:fill=400"
    virsh -q destroy "$GUEST"
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    start_vp undo "$MOVE" --bandwidth 8MiB
    wait_copying
    start_guest "$GUEST"
    wait_vp 1 60
    assert_err "the guest was started while its disks were copied"
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml" || fail "the definition is another"
    wait_writes "$GUEST" 10
    verify_writes "$GUEST"
    expect_exit 0 vp undo "$MOVE"
    OLD=("vda=rbd:old/vms/$T-src")
    verify_writes "$GUEST"
    move_is "$MOVE" undone
}

test_saved_state_is_not_led_astray_by_an_undo() {
    simple_policy
    moved_guest a --disk raw:64M:fill=5
    virsh -q managedsave "$GUEST"
    expect_exit 1 vp_root undo "$MOVE"
    assert_err "its state is saved"
    start_guest "$GUEST"
    expect_exit 0 vp undo "$MOVE"
    assert_back
}

test_limits_by_iotune_end() {
    simple_policy "qos: {iops: 3000, enforce: iotune}"
    moved_guest a --disk raw:64M:fill=5
    assert_eq 3000 "$(xml_value "$GUEST" devices/disk/iotune/total_iops_sec)" "live limit"
    expect_exit 0 vp undo "$MOVE"
    assert_back
    ! virsh -q dumpxml "$GUEST" | grep -q iotune || fail "a limit is left"
}

# Forth again, and back again: each by taking back the one before.
test_undo_of_an_undo() {
    local first
    simple_policy
    moved_guest a --disk raw:64M:fill=10
    first=$MOVE
    expect_exit 0 vp undo "$first"
    assert_back
    expect_exit 3 vp undo "$first"
    assert_err "was undone already"
    MOVE=$(newest_move)
    expect_exit 0 vp undo "$MOVE"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    move_is "$MOVE" undone
    MOVE=$(newest_move)
    expect_exit 0 vp undo "$MOVE"
    assert_back_after_reboot
    vp history "$MOVE" >"$TEST_DIR/story"
    grep -q "undoes *move" "$TEST_DIR/story" || fail "its story does not say what it took back"
}

# A saved state from before the move belongs to the old disk, and is led to it again.
test_ledger_ends() {
    simple_policy
    moved_guest a --disk raw:64M:fill=10
    expect_exit 0 vp undo "$MOVE"
    assert_eq "1 0" "$(sqlite3 "$STATE/journal.db" \
        "SELECT group_concat(ended, ' ') FROM (SELECT ended FROM ledger ORDER BY move)")" ended
}

test_transient_domain_there_and_back() {
    simple_policy
    running_guest a --disk raw:64M:fill=5
    local old
    old=$(live_image "$GUEST" vda)
    virsh -q undefine --keep-nvram "$GUEST"
    expect_exit 0 vp move "$GUEST"
    wait_writes "$GUEST" 20
    expect_exit 0 vp undo "$(newest_move)"
    assert_eq "$old" "$(live_image "$GUEST" vda)"
    assert_eq no "$(is_persistent "$GUEST")" persistent
    wait_writes "$GUEST" 10
    verify_writes "$GUEST"
}

# --- interrupted

# Until the undo that start_vp began has copied something.
undoes_slowly() {
    start_vp undo "$MOVE" --bandwidth 8MiB
    wait_copying
}

# The guest is where it was, on the new disk, and so is its definition.
assert_still_moved() {
    move_is "$MOVE" verified
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

killed_on_the_way_back() {
    simple_policy
    moved_guest a --autostart --disk qcow2:128M:depth=2:fill=100
    undoes_slowly
    kill_vp KILL
    expect_exit 0 vp recover
    assert_still_moved
    expect_exit 0 vp undo "$MOVE"
    assert_back_after_reboot
    assert_eq enable "$(autostart_of "$GUEST")" autostart
}
test_killed_on_the_way_back_in_the_dance() { DEFINITION=dance killed_on_the_way_back; }
test_killed_on_the_way_back_while_kept() { DEFINITION=keep killed_on_the_way_back; }

test_cancelled_on_the_way_back() {
    DEFINITION=dance simple_policy
    moved_guest a --disk "rbd:old/vms/$T-src:128M:fill=100"
    undoes_slowly
    expect_exit 0 vp cancel "$GUEST"
    kill_vp TERM 2>/dev/null || true
    assert_still_moved
    expect_exit 0 vp undo "$MOVE"
    assert_back_after_reboot
}

test_sigterm_on_the_way_back() {
    simple_policy
    moved_guest a --disk raw:128M:fill=100
    undoes_slowly
    kill -TERM "$VP_PID"
    wait_vp 1
    assert_err "everything is as it was: cancelled"
    assert_still_moved
    expect_exit 0 vp undo "$MOVE"
    assert_back
}

# The guest dies in mid-copy, and somebody starts it from an old definition: on a disk that was
# written over in part.
test_started_on_the_half_written_disk() {
    DEFINITION=dance simple_policy
    moved_guest a --disk raw:128M:fill=100
    save_xml "$GUEST" "$TEST_DIR/moved.xml"
    undoes_slowly
    kill_vp KILL
    virsh -q destroy "$GUEST"
    virsh -q define "$TEST_DIR/before.xml"
    expect_exit 4 vp recover
    assert_err "old disk .*, onto which the guest had not been brought back"
    virsh -q define "$TEST_DIR/moved.xml"
    expect_exit 0 vp recover
    start_guest "$GUEST"
    cp "$TEST_DIR/moved.xml" "$TEST_DIR/before.xml"
    assert_still_moved
}

test_undo_before_the_pivot_is_cancel() {
    DEFINITION=dance slow_policy
    running_guest a --disk raw:256M:fill=120
    start_vp move "$GUEST"
    wait_copying
    MOVE=$(newest_move)
    expect_exit 0 vp undo "$MOVE" --dry-run
    assert_err "would be cancelled"
    expect_exit 0 vp undo "$MOVE"
    wait_for 30 is_gone "$VP_PID"
    assert_untouched "$GUEST"
    move_is "$MOVE" undone
}

test_undo_of_a_dead_move() {
    DEFINITION=dance slow_policy
    running_guest a --disk raw:256M:fill=120
    start_vp move "$GUEST"
    wait_copying
    kill_vp KILL
    MOVE=$(newest_move)
    expect_exit 0 vp undo "$MOVE"
    assert_untouched "$GUEST"
}

# --- refused, and nothing is touched

refused() {
    local code=$1 what=$2
    expect_exit "$code" vp undo "$MOVE"
    cat "$OUT" >>"$ERR"
    assert_err "$what"
    assert_still_moved
}

test_refusals() {
    local source=old/vms/$T-src
    expect_exit 2 vp undo nonsense
    simple_policy
    moved_guest a --disk "rbd:$source:64M:fill=5"
    expect_exit 1 vp undo 99999
    assert_err "there is no move 99999"
    expect_exit 0 vp undo "$MOVE" --dry-run
    assert_out "old/vms/$T-src"
    move_is "$MOVE" verified

    # Watched.
    run_watcher "$source"
    refused 1 "is open elsewhere"
    kill "$WATCHER"
    wait "$WATCHER" 2>/dev/null || true
    wait_for 60 unwatched "$source"

    # Another domain's.
    sed -e "s#<name>.*</name>#<name>$T-other</name>#" -e "/<uuid>/d" "$TEST_DIR/before.xml" \
        >"$TEST_DIR/other.xml"
    virsh -q define "$TEST_DIR/other.xml"
    refused 1 "is disk vda of domain '$T-other'"
    virsh -q undefine "$T-other"

    # Resized.
    rbd_in old resize --no-progress --size 65M "${source#*/}"
    refused 1 "was resized since"
    rbd_in old resize --no-progress --allow-shrink --size 64M "${source#*/}"

    # Gone.
    rbd_in old rename "${source#*/}" "${source#*/}-away"
    refused 1 "is not there any more"
    rbd_in old rename "${source#*/}-away" "${source#*/}"
    expect_exit 0 vp undo "$MOVE"
    assert_back
}
run_watcher() {
    "$PYTHON" - "$(cluster_folder "${1%%/*}")/ceph.conf" "${1#*/}" <<'END' &
import sys
import time
import rados
import rbd
pool, image = sys.argv[2].split("/")
with rados.Rados(conffile=sys.argv[1]) as cluster, cluster.open_ioctx(pool) as place:
    with rbd.Image(place, image):
        time.sleep(600)
END
    WATCHER=$!
    wait_for 30 watched "$1"
}
watched() { (($(watchers "$1") > 0)); }
unwatched() { (($(watchers "$1") == 0)); }

# A file that somebody has open; one of the old version of qcow2, above another.
test_refusals_of_files() {
    local file
    simple_policy
    GUEST=$(new_guest a --disk qcow2:64M:depth=2:fill=5)
    file=$(guest_folder "$GUEST")/vda.2.qcow2
    qemu-img create -q -f qcow2 -o compat=0.10 -F qcow2 -b "${file/2.qcow2/1.qcow2}" "$file"
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    start_guest "$GUEST"
    wait_writes "$GUEST" 10
    expect_exit 0 vp move "$GUEST"
    MOVE=$(newest_move)
    refused 1 "qcow2 file of version 2"
    qemu-img amend -f qcow2 -o compat=1.1 "$file"
    qemu-nbd --read-only --fork --pid-file "$TEST_DIR/nbd.pid" --socket "$TEST_DIR/nbd" \
        --format qcow2 "$file" </dev/null >/dev/null 2>&1
    refused 1 "is open elsewhere"
    kill "$(cat "$TEST_DIR/nbd.pid")"
    wait_for 10 is_gone "$(cat "$TEST_DIR/nbd.pid")"
    expect_exit 0 vp undo "$MOVE"
    move_is "$MOVE" undone
}

test_guest_has_moved_on() {
    local first
    simple_policy
    moved_guest a --disk raw:64M:fill=5
    first=$MOVE
    sed -i 's#^rules:#  silver: {pool: flash/bulk}\nrules:#' "$POLICY"
    expect_exit 0 vp move "$GUEST" --tier silver
    MOVE=$(newest_move)
    expect_exit 1 vp undo "$first"
    assert_err "the guest runs on .* by now"
    expect_exit 0 vp undo "$MOVE"
    expect_exit 0 vp undo "$first"
    MOVE=$first
    assert_back
}
