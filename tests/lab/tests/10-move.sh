# The main job: disks of every kind move to RBD while the guest writes.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

# One disk of this kind, in both strategies; the source must still hold what it held.
moves_both_ways() {
    local DEFINITION spec
    for DEFINITION in dance keep; do
        simple_policy "qos: {iops: 5000}" "driver: {cache: none, discard: unmap}"
        spec=${1//NAME/$T-$DEFINITION}
        running_guest "$DEFINITION" --disk "$spec"
        expect_exit 0 vp move "$GUEST"
        assert_err "definition"
        assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    done
}

test_rbd_of_another_cluster() { moves_both_ways rbd:old/vms/NAME-src:256M:fill=50; }
test_raw_file() { moves_both_ways raw:256M:fill=50; }
test_qcow2_chain() { moves_both_ways qcow2:256M:depth=3:fill=50; }
test_block_device() { moves_both_ways block:128M:fill=50; }
test_volume() { moves_both_ways volume:128M:fill=50; }
test_nbd_export() { moves_both_ways nbd:128M:tcp:fill=50; }

test_rbd_pool_of_the_same_cluster() {
    simple_policy
    sed -i 's#pool: flash/fast#pool: flash/bulk#' "$POLICY"
    running_guest a --disk "rbd:flash/fast/$T-src:256M:fill=50"
    expect_exit 0 vp move "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/bulk/$GUEST-vda"
}

test_three_disks_at_once() {
    slow_policy
    running_guest a --disk qcow2:128M:depth=2:fill=20 --disk raw:128M:fill=20 \
        --disk "rbd:old/vms/$T-src:128M:fill=20"
    expect_exit 0 vp move "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb" \
        "vdc=rbd:flash/fast/$GUEST-vdc"
    assert_err "3 disks ready to pivot"
}

test_one_of_two_disks() {
    simple_policy
    running_guest a --disk raw:64M:fill=5 --disk raw:64M:fill=5
    local other
    other=$(live_image "$GUEST" vda)
    expect_exit 0 vp move "$GUEST" --disk vdb
    assert_eq "$other" "$(live_image "$GUEST" vda)" "the other disk"
    assert_moved "$GUEST" "vdb=rbd:flash/fast/$GUEST-vdb"
    expect_exit 0 vp move "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
    expect_exit 3 vp move "$GUEST"
    assert_err "nothing to do"
}

test_uefi_nvram_and_autostart_survive_the_dance() {
    DEFINITION=dance simple_policy
    running_guest a --uefi --autostart --disk raw:64M:fill=5
    local nvram
    nvram=$(xml_value "$GUEST" os/nvram)
    md5sum "$nvram" >"$TEST_DIR/nvram.md5"
    assert_eq enable "$(autostart_of "$GUEST")"
    expect_exit 0 vp move "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq enable "$(autostart_of "$GUEST")" "autostart afterwards"
    md5sum --quiet -c "$TEST_DIR/nvram.md5"
}

test_metadata_of_others_survives() {
    DEFINITION=dance simple_policy
    cat >"$TEST_DIR/metadata" <<'EOF'
<nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"><nova:name>a &amp; b</nova:name></nova:instance>
<app:disk xmlns:app="urn:other"><app:source file="/none"/></app:disk>
EOF
    running_guest a --metadata "$TEST_DIR/metadata" --disk raw:64M:fill=5
    expect_exit 0 vp move "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_target_is_made_as_the_tier_says() {
    simple_policy "object_size: 1MiB" "data_pool: bulk" "qos: {iops: 3000, bps: 200MiB}"
    running_guest a --disk raw:100M:fill=5
    expect_exit 0 vp move "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    rbd_in flash info --format json "fast/$GUEST-vda" >"$TEST_DIR/info"
    assert_eq 104857600 "$(json "$TEST_DIR/info" 'd["size"]')" size
    assert_eq 20 "$(json "$TEST_DIR/info" 'd["order"]')" "object order"
    assert_eq bulk "$(json "$TEST_DIR/info" 'd["data_pool"]')" "data pool"
    assert_match "exclusive-lock.*object-map.*fast-diff" "$(json "$TEST_DIR/info" 'd["features"]')"
    rbd_in flash image-meta list "fast/$GUEST-vda" >"$TEST_DIR/meta"
    grep -q "conf_rbd_qos_iops_limit *3000" "$TEST_DIR/meta" || fail "no iops limit"
    grep -q "conf_rbd_qos_bps_limit *209715200" "$TEST_DIR/meta" || fail "no bps limit"
    grep -q "virt-pivot.domain-uuid *$(virsh domuuid "$GUEST" | head -n1)" "$TEST_DIR/meta" ||
        fail "no owner"
}

test_limits_by_iotune() {
    simple_policy "qos: {iops: 3000, enforce: iotune}"
    running_guest a --disk raw:64M:fill=5
    expect_exit 0 vp move "$GUEST"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(live_image "$GUEST" vda)"
    verify_writes --snapshot "$GUEST"
    assert_eq 3000 "$(xml_value "$GUEST" devices/disk/iotune/total_iops_sec)" "live limit"
    assert_eq 3000 "$(xml_value "$GUEST" devices/disk/iotune/total_iops_sec --inactive)" "defined limit"
}

test_own_iotune_is_kept_and_reported() {
    simple_policy "qos: {iops: 3000, enforce: iotune}"
    running_guest a --disk raw:64M:fill=5 \
        --disk-xml 'vda=<iotune><total_iops_sec>777</total_iops_sec></iotune>'
    expect_exit 0 vp move "$GUEST"
    assert_err "limits of its own"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq 777 "$(xml_value "$GUEST" devices/disk/iotune/total_iops_sec)" "live limit"
}

test_thin_source_stays_thin() {
    simple_policy
    running_guest a --cmdline vp.window=2 \
        --disk "rbd:old/vms/$T-src:4G:fill=40:features=layering,exclusive-lock"
    expect_exit 0 vp move "$GUEST"
    assert_err "fast-diff switched on"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    rbd_in flash du --format json "fast/$GUEST-vda" >"$TEST_DIR/du"
    local used
    used=$(json "$TEST_DIR/du" 'd["images"][0]["used_size"]')
    ((used < 1000000000)) || fail "$used bytes are used on the target of a thin disk"
}

test_transient_domain() {
    simple_policy
    running_guest a --disk raw:64M:fill=5
    virsh -q undefine --keep-nvram "$GUEST"
    expect_exit 0 vp move "$GUEST"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(live_image "$GUEST" vda)"
    assert_eq no "$(is_persistent "$GUEST")" persistent
    wait_writes "$GUEST" 10
    verify_writes --snapshot "$GUEST"
}

test_source_is_kept_whole() {
    simple_policy
    running_guest a --disk "rbd:old/vms/$T-src:128M:fill=20"
    expect_exit 0 vp move "$GUEST"
    image_exists "old/vms/$T-src" || fail "the source is gone"
    assert_eq 0 "$(watchers "old/vms/$T-src")" "watchers of the source"
}

test_moved_guest_starts_again_from_rbd() {
    simple_policy
    running_guest a --disk raw:64M:fill=5
    expect_exit 0 vp move "$GUEST"
    virsh -q destroy "$GUEST"
    start_guest "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_emulated_tpm_is_kept() {
    simple_policy
    running_guest a --tpm --disk raw:64M:fill=5
    expect_exit 0 vp move "$GUEST"
    assert_out "definition: keep .*TPM"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
