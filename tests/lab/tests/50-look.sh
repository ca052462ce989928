# What only looks: check, plan, status, history.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

# Alone: it says how the definitions of all guests of the host are, in mid-move ones too.
test_alone_check_of_a_healthy_lab() {
    simple_policy
    expect_exit 0 vp check
    assert_out "^ok .*old"
    assert_out "^ok .*flash"
    assert_out "^warning .*hook"
    expect_exit 0 vp check --format json
    assert_eq 0 "$(json "$OUT" 'd["errors"]')" errors
}

test_check_finds_what_is_wrong() {
    local key
    simple_policy "data_pool: nowhere"
    expect_exit 1 vp check
    assert_out "^error .*nowhere"
    simple_policy
    sed -i 's#flash/fast#flash/fast/nobody#' "$POLICY"
    expect_exit 1 vp check
    assert_out "^error .*nobody"
    simple_policy
    sed -i 's/secret: client.libvirt flash/secret: client.nobody/' "$POLICY"
    expect_exit 1 vp check
    assert_out "^error .*client.nobody"
    key=$(ceph-authtool --gen-print-key)
    printf '[client.libvirt]\n\tkey = %s\n' "$key" >"$TEST_DIR/wrong.keyring"
    chmod 644 "$TEST_DIR/wrong.keyring"
    simple_policy
    sed -i "s#keyring: $VP_LAB_KEYRING_flash#keyring: $TEST_DIR/wrong.keyring#" "$POLICY"
    expect_exit 1 vp check
    assert_out "^error .*flash"
    ! grep -qF "$key" "$OUT" "$ERR" || fail "the key was printed"
    echo "nonsense: 1" >>"$POLICY"
    expect_exit 2 vp check
    assert_out "policy.yaml:[0-9]+:1"
}

test_check_names_an_unreachable_monitor() {
    simple_policy
    sed -i '/^  flash:/,/^tiers/{/^tiers/!d}' "$POLICY"
    sed -i 's#^tiers:#  flash: {mons: ["127.0.0.1:9"], user: libvirt, secret: client.libvirt flash}\ntiers:#' "$POLICY"
    local begin=$SECONDS
    expect_exit 1 vp check
    assert_out "^error .*127.0.0.1:9"
    ((SECONDS - begin < 30)) || fail "it took $((SECONDS - begin)) s"
}

test_plan_as_json() {
    simple_policy
    running_guest a --disk "rbd:old/vms/$T-src:64M:fill=8" --disk cdrom:4M:target=sda
    expect_exit 0 vp plan "$GUEST" --format json
    assert_eq "$GUEST" "$(json "$OUT" 'd["domain"]')"
    assert_eq "$(virsh -q domuuid "$GUEST")" "$(json "$OUT" 'd["uuid"]')"
    assert_eq dance "$(json "$OUT" 'd["definition"]')"
    assert_eq "move gold flash/fast/$GUEST-vda 67108864 all" "$(json "$OUT" \
        '" ".join(str(d["disks"][0][k]) for k in ["action", "tier", "destination", "capacity", "rule"])')"
    assert_eq leave "$(json "$OUT" 'd["disks"][1]["action"]')"
    assert_eq True "$(json "$OUT" '0 < d["disks"][0]["allocated"] <= 67108864' | sed 's/true/True/')"
    assert_untouched "$GUEST"
}

test_plan_diff_and_dry_run_are_the_move() {
    DEFINITION=dance simple_policy "driver: {cache: none, discard: unmap}"
    running_guest a --disk raw:32M
    expect_exit 0 vp plan "$GUEST" --diff
    assert_out "^\\+ .*protocol='rbd' name='fast/$GUEST-vda'"
    grep '^[-+] ' "$OUT" >"$TEST_DIR/promised"
    expect_exit 0 vp plan "$GUEST" --diff --format json
    json "$OUT" 'd["diff"]' | grep '^[-+] ' | cmp - "$TEST_DIR/promised" || fail "another diff in JSON"
    expect_exit 0 vp move "$GUEST" --dry-run
    assert_untouched "$GUEST"
    virsh -q dumpxml --inactive "$GUEST" >"$TEST_DIR/plain-before.xml"
    expect_exit 0 vp move "$GUEST"
    virsh -q dumpxml --inactive "$GUEST" >"$TEST_DIR/plain-after.xml"
    diff -U 3 "$TEST_DIR/plain-before.xml" "$TEST_DIR/plain-after.xml" | grep '^[-+] ' >"$TEST_DIR/kept" || true
    cmp "$TEST_DIR/promised" "$TEST_DIR/kept" || fail "the definition is not what --diff promised"
}

test_history_tells_the_story() {
    simple_policy
    running_guest a --disk raw:32M
    expect_exit 3 vp status "$GUEST"
    expect_exit 0 vp move "$GUEST" --format json
    assert_eq moved "$(json "$OUT" 'd["outcome"]')"
    expect_exit 0 vp history
    assert_out "$GUEST"
    expect_exit 0 vp history 1
    local phase
    for phase in "locked" "target created" "definition saved" "undefined" "copying" "mirroring" \
        "pivoted" "redefined"; do
        assert_out "$phase"
    done
    ! grep -q "<domain" "$OUT" || fail "history prints definitions"
    expect_exit 0 vp history --format json
    json "$OUT" 'd["moves"][0]["domain"]' >/dev/null
    expect_exit 0 vp status
}

# No secret of libvirt's or Ceph's anywhere in what is printed or stored, but for the saved
# definition's own passwords.
test_no_key_is_printed_or_stored() {
    simple_policy
    running_guest a --disk "rbd:old/vms/$T-src:32M"
    expect_exit 0 vp move "$GUEST" -v
    local cluster key
    for cluster in old flash; do
        key=$(ceph-authtool --print-key --name client.libvirt \
            "$VP_LAB_DIR/ceph/$cluster/client.libvirt.keyring")
        [[ -n $key ]] || fail "no key to look for"
        ! grep -rqF "$key" "$OUT" "$ERR" "$STATE" || fail "the key of $cluster is printed or stored"
    done
}

test_secret_of_libvirt_instead_of_a_keyring() {
    simple_policy
    sed -i '/keyring:/d' "$POLICY"
    running_guest a --disk "rbd:old/vms/$T-src:32M"
    expect_exit 0 vp move "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# Alone: it measures itself against time-outs of ten seconds.
test_alone_ceph_adapter() {
    local test
    test=$(find "$VP_BUILD" -name ceph_adapter_test -type f -perm -u+x | head -n 1)
    [[ -n $test ]] || skip "ceph_adapter_test is not built"
    ceph_adapter "$test" connect create crash image trash
}

# Alone: it stops the cluster's OSD.
test_alone_ceph_sources_and_snapshots() {
    local test
    test=$(find "$VP_BUILD" -name ceph_adapter_test -type f -perm -u+x | head -n 1)
    [[ -n $test ]] || skip "ceph_adapter_test is not built"
    VP_LAB_OSD_PID=$(cat "$(cluster_folder flash)/run/osd.0.pid") ceph_adapter "$test" source source-crash snapshot migration
}
ceph_adapter() {
    VP_LAB_KILLS=6 VP_LAB_USER=libvirt VP_LAB_MONS="127.0.0.1:$VP_LAB_PORT_flash" VP_LAB_KEYRING=$VP_LAB_KEYRING_flash \
        VP_LAB_CONF=$VP_LAB_CONF_flash VP_LAB_POOL=bulk "$@"
}
