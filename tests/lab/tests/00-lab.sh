# The lab itself: an example of a test, and a check that what tests build on is there.
# shellcheck shell=bash disable=SC2154

test_clusters_are_healthy() {
    local name
    for name in old flash; do
        assert_eq HEALTH_OK "$(ceph_in "$name" health)" "health of $name"
        run_as_user rbd -c "$VP_LAB_DIR/ceph/$name/ceph.conf" --id libvirt ls \
            "$([[ $name == old ]] && echo vms || echo fast)"
    done
    expect_exit 1 run_as_user rbd -c "$VP_LAB_CONF_old" --id readonly create "vms/$T-no" --size 1M
}

test_user_is_unprivileged() {
    assert_eq "$VP_LAB_UID" "$(run_as_user id -u)" "user"
    assert_match '^CapEff:.0+$' "$(run_as_user grep CapEff /proc/self/status)"
    run_as_user virsh -q -c "$VP_LAB_URI" list
    expect_exit 1 run_as_user cat "$VP_LAB_DIR/ceph/old/client.admin.keyring"
}

test_guest_writes_are_verified() {
    local guest
    guest=$(new_guest a --disk raw:64M:fill=4 --disk "rbd:old/vms/$T-a-vdb:64M")
    start_guest "$guest"
    wait_writes "$guest" 40
    verify_writes "$guest"
    assert_eq "rbd:old/vms/$guest-vdb" "$(live_image "$guest" vdb)"
    assert_eq 1 "$(watchers "old/vms/$guest-vdb")" "watchers"
    assert_eq running "$(state_of "$guest")"
}
