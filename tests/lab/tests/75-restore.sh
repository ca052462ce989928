# Saved guests whose disks have moved since: they come back on the disk where it is now. On the
# second host, where the hook is installed.
# shellcheck shell=bash disable=SC2154,SC2016
. "$LAB_FOLDER/migrations.sh"

# A guest that writes on the second host. Sets GUEST, and SOURCE, its disk's file.
guest_on_b() {
    two_hosts
    on_b simple_policy
    GUEST=$(on_b new_guest "$@")
    on_b start_guest "$GUEST"
    wait_writes "$GUEST" 20
    SOURCE=$(on_b live_image "$GUEST" vda)
}

# Moves it while it is off as far as its writes go: it is booted, and does not run. What it wrote
# before the save, and what it reads back afterwards, then belong together.
move_paused() {
    on_b virsh -q start --paused --force-boot "$GUEST"
    expect_exit 0 on_b vp move "$GUEST" "$@"
    on_b virsh -q destroy "$GUEST"
}

assert_restored_on() {
    assert_eq "$1" "$(on_b live_image "$GUEST" vda)" "live image"
    wait_writes "$GUEST" 20
    on_b verify_writes --snapshot "$GUEST" "vda=$1"
    hook_was_called "restore begin $GUEST" || fail "the hook was not called"
}

save_of_a_guest_that_moved() {
    guest_on_b a --disk raw:96M:fill=10
    on_b virsh -q save "$GUEST" "$TEST_DIR/old.save"
    remember "$SOURCE"
    move_paused
}

# restores_paused IMAGE: from the old save, and the guest writes nothing.
restores_paused() {
    on_b virsh -q restore --paused "$TEST_DIR/old.save"
    assert_eq "$1" "$(on_b live_image "$GUEST" vda)" "live image"
    on_b virsh -q destroy "$GUEST"
}

# The ledger decides, whatever is the matter with the policy.
test_save_file_is_led_to_the_new_disk() {
    local policy=$TEST_DIR/b/policy.yaml
    save_of_a_guest_that_moved
    cp "$policy" "$TEST_DIR/good.yaml"
    echo "nonsense: [" >>"$policy"
    restores_paused "rbd:flash/fast/$GUEST-vda"
    rm "$policy"
    restores_paused "rbd:flash/fast/$GUEST-vda"
    cp "$TEST_DIR/good.yaml" "$policy"
    on_b virsh -q restore "$TEST_DIR/old.save"
    assert_restored_on "rbd:flash/fast/$GUEST-vda"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(on_b saved_image "$GUEST" vda)" "defined image"
    unchanged
    never_moved
}
# Another guest of this host, that is not in the ledger.
never_moved() {
    guest_on_b other --disk raw:64M
    on_b virsh -q save "$GUEST" "$TEST_DIR/other.save"
    on_b virsh -q restore "$TEST_DIR/other.save"
    assert_restored_on "$SOURCE"
}

test_save_file_after_two_moves() {
    save_of_a_guest_that_moved
    on_b sed -i 's#^rules:#  silver: {pool: flash/bulk}\nrules:#' "$TEST_DIR/b/policy.yaml"
    move_paused --tier silver
    on_b virsh -q restore "$TEST_DIR/old.save"
    assert_restored_on "rbd:flash/bulk/$GUEST-vda"
    unchanged
}

# libvirt discards a managed save when its guest is booted afresh (--force-boot), and moves need a
# guest that runs: such a file can only come back from a copy.
test_managed_save_is_led_to_the_new_disk() {
    local file
    guest_on_b a --disk raw:96M:fill=10
    on_b virsh -q managedsave "$GUEST"
    file=$SECOND_HOST/libvirt/lib/qemu/save/$GUEST.save
    cp "$file" "$TEST_DIR/copy"
    remember "$SOURCE"
    move_paused
    [[ ! -e $file ]] || fail "the managed save was not discarded"
    cp "$TEST_DIR/copy" "$file"
    on_b virsh -q start "$GUEST"
    assert_restored_on "rbd:flash/fast/$GUEST-vda"
    unchanged
}

# Saved on the first host, arrived on RBD by migration, restored here.
test_save_file_from_before_a_migration() {
    guest_to_migrate a --disk "raw:$SIZE:fill=10"
    virsh -q save "$GUEST" "$TEST_DIR/old.save"
    remember "$(guest_folder "$GUEST")/vda.raw"
    virsh -q start --paused "$GUEST"
    move_to_b "$GUEST"
    on_b start_agent
    assert_defined_on_b "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    on_b virsh -q destroy "$GUEST"
    on_b virsh -q restore "$TEST_DIR/old.save"
    assert_restored_on "rbd:flash/fast/$GUEST-vda"
    unchanged
}

# Given up, and nobody knows what came after it; or the ledger cannot be read at all. Unless an
# operator wants it otherwise.
test_restore_is_refused() {
    save_of_a_guest_that_moved
    on_b sqlite3 "$TEST_DIR/b/state/journal.db" "UPDATE ledger SET new_disk = NULL, retired = 1"
    refused_restore "vda"
    on_b sqlite3 "$TEST_DIR/b/state/journal.db" "DROP TABLE ledger"
    refused_restore "journal|ledger"
    on_b sed -i '$a on_error: pass' "$TEST_DIR/b/policy.yaml"
    restores_paused "$SOURCE"
    on_b sed -i 's/^on_error:.*/triggers: {on_restore: false}/' "$TEST_DIR/b/policy.yaml"
    restores_paused "$SOURCE"
}
refused_restore() {
    expect_exit 1 on_b virsh -q restore "$TEST_DIR/old.save"
    assert_err "virt-pivot: domain '$GUEST': .*($1)"
    assert_eq "shut off" "$(on_b state_of "$GUEST")"
}
