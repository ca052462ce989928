# What is not to be moved is not touched, and says why.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

# refused CODE REGEX [ARGUMENT...]: the move of GUEST ends so, and nothing has changed.
refused() {
    local code=$1 regex=$2
    shift 2
    expect_exit "$code" vp move "$GUEST" "$@"
    assert_err "$regex"
    assert_untouched "$GUEST"
}

test_unknown_domain() {
    simple_policy
    expect_exit 1 vp move "$T-nobody"
    assert_err "there is no domain '$T-nobody'"
    assert_err "hint"
}

test_bad_usage_and_policy() {
    simple_policy
    expect_exit 2 vp move
    expect_exit 2 vp mvoe x
    assert_err "did you mean 'move'"
    expect_exit 2 vp move "$T-x" --bandwidth fast
    expect_exit 2 vp move --nonsense "$T-x"
    sed -i 's/tiers:/teirs:/' "$POLICY"
    expect_exit 2 vp move "$T-x"
    assert_err "policy.yaml:[0-9]+:1"
    assert_err "tiers"
    rm "$POLICY"
    expect_exit 2 vp move "$T-x"
}

test_unknown_disk_and_tier() {
    simple_policy
    running_guest a --disk raw:16M
    refused 2 "no disk 'vdz'" --disk vdz
    assert_err "it has: vda"
    refused 2 "no tier 'platinum'" --tier platinum
    assert_err "it has: gold"
}

test_removable_media() {
    simple_policy
    running_guest a --disk raw:16M --disk cdrom:4M:target=sda --disk floppy:target=fda
    refused 1 "removable" --disk sda
    refused 1 "removable" --disk fda
    expect_exit 0 vp move "$GUEST"
    assert_out "sda +leave"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_disks_that_cannot_be_mirrored() {
    local kind
    simple_policy
    for kind in readonly shareable; do
        running_guest "$kind" --disk raw:16M --disk "raw:16M:$kind"
        refused 1 "$(sed 's/readonly/read-only/' <<<"$kind")"
    done
}

test_transient_disk() {
    simple_policy
    GUEST=$(new_guest a --disk raw:16M --disk raw:16M:transient)
    lab guest start "$GUEST" || skip "this libvirt has no transient disks"
    wait_writes "$GUEST" 5
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    expect_exit 1 vp move "$GUEST"
    assert_err "transient"
    no_target_left "$GUEST"
}

test_block_job_is_there_already() {
    simple_policy
    running_guest a --disk raw:64M:fill=20
    virsh -q blockcopy "$GUEST" vda "$TEST_DIR/other.raw" --transient-job --bandwidth 1
    expect_exit 1 vp move "$GUEST"
    assert_err "block job"
    virsh -q blockjob "$GUEST" vda --abort
    assert_untouched "$GUEST"
}

test_other_move_is_under_way() {
    slow_policy
    running_guest a --disk raw:256M:fill=150
    start_vp move "$GUEST"
    local first=$VP_PID out=$OUT err=$ERR
    wait_copying
    OUT=$TEST_DIR/out2 ERR=$TEST_DIR/err2
    expect_exit 1 vp move "$GUEST"
    assert_err "process [0-9]+"
    expect_exit 1 vp plan "$GUEST"
    OUT=$out ERR=$err VP_PID=$first
    expect_exit_of_wait 0
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}
expect_exit_of_wait() {
    wait_vp "$1"
}

test_limit_per_host() {
    slow_policy
    echo "limits: {per_host: 1}" >>"$POLICY"
    running_guest a --disk raw:256M:fill=150
    local first=$GUEST
    cp "$TEST_DIR/before.xml" "$TEST_DIR/first.xml"
    running_guest b --disk raw:16M
    start_vp move "$first"
    wait_copying
    OUT=$TEST_DIR/out2 ERR=$TEST_DIR/err2
    expect_exit 1 vp move "$GUEST"
    assert_err "as many as the policy allows"
    assert_untouched "$GUEST"
    expect_exit 0 vp cancel "$first"
    OUT=$TEST_DIR/out ERR=$TEST_DIR/err wait_vp 1
}

test_source_with_snapshots_or_clones() {
    simple_policy
    running_guest a --disk "rbd:old/vms/$T-src:64M:fill=5"
    rbd_in old snap create "vms/$T-src@keep"
    refused 1 "RBD snapshots"
    assert_err "allow_loss"
    rbd_in old snap protect "vms/$T-src@keep"
    rbd_in old clone "vms/$T-src@keep" "vms/$T-clone"
    sed -i '$a source: {allow_loss: [snapshots]}' "$POLICY"
    refused 1 "clones"
    sed -i 's/allow_loss: \[snapshots\]/allow_loss: [snapshots, children]/' "$POLICY"
    expect_exit 0 vp move "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    image_exists "old/vms/$T-src" || fail "the source is gone"
    rbd_in old rm --no-progress "vms/$T-clone"
    rbd_in old snap unprotect "vms/$T-src@keep"
    rbd_in old snap purge --no-progress "vms/$T-src"
}

test_target_image_exists() {
    simple_policy
    running_guest a --disk raw:64M:fill=5
    rbd_in flash create --size 1M "fast/$GUEST-vda"
    expect_exit 1 vp move "$GUEST"
    assert_err "exists already"
    assert_err "rename or remove it"
    rbd_in flash info "fast/$GUEST-vda" >/dev/null || fail "the other's image is gone"
    rbd_in flash rm --no-progress "fast/$GUEST-vda"
    assert_untouched "$GUEST"
}

test_target_pool_missing() {
    simple_policy
    sed -i 's#flash/fast#flash/nowhere#' "$POLICY"
    running_guest a --disk raw:16M
    refused 1 "nowhere"
}

test_data_pool_missing() {
    simple_policy "data_pool: nowhere"
    running_guest a --disk raw:16M
    refused 1 "nowhere"
}

test_namespace() {
    simple_policy
    sed -i 's#flash/fast#flash/fast/tenant#' "$POLICY"
    running_guest a --disk raw:16M
    refused 1 "namespace|pool/namespace/image"
}

test_over_quota() {
    simple_policy
    sed -i 's#flash/fast#flash/tiny#' "$POLICY"
    running_guest a --disk raw:256M:fill=150
    refused 1 "left, and up to .* are needed|full"
}

test_cluster_unreachable() {
    {
        echo "version: 1"
        policy_clusters | sed '/^  flash:/,$d'
        echo '  flash: {mons: ["127.0.0.1:9"], user: libvirt, secret: client.libvirt flash}'
        echo 'tiers: {gold: {pool: flash/fast}}'
        echo 'rules: [{match: {}, tier: gold}]'
    } | write_policy
    running_guest a --disk raw:16M
    local begin=$SECONDS
    refused 1 "127.0.0.1:9"
    ((SECONDS - begin < 60)) || fail "it took $((SECONDS - begin)) s"
}

test_wrong_key() {
    local key
    simple_policy
    key=$(ceph-authtool --gen-print-key)
    printf '[client.libvirt]\n\tkey = %s\n' "$key" >"$TEST_DIR/wrong.keyring"
    chmod 644 "$TEST_DIR/wrong.keyring"
    sed -i "s#keyring: $VP_LAB_KEYRING_flash#keyring: $TEST_DIR/wrong.keyring#" "$POLICY"
    running_guest a --disk raw:16M
    refused 1 "key|denied|permission"
    ! grep -rqF "$key" "$OUT" "$ERR" "$STATE" || fail "the key was printed or stored"
}

test_secret_missing_on_this_host() {
    simple_policy
    sed -i 's/secret: client.libvirt flash/secret: client.nobody/' "$POLICY"
    running_guest a --disk raw:16M
    refused 1 "secret.*client.nobody"
}

test_rule_leaves_the_disk() {
    {
        echo "version: 1"
        policy_clusters
        echo 'tiers: {gold: {pool: flash/fast}}'
        echo 'rules: [{name: big ones, match: {min_size: 1TiB}, tier: gold},'
        echo '        {name: the rest stays, match: {}, leave: true}]'
    } | write_policy
    running_guest a --disk raw:16M
    refused 3 "nothing to do"
    assert_out "rule 'the rest stays' leaves it"
    expect_exit 0 vp move "$GUEST" --tier gold
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

test_checkpoints_choose_keep() {
    simple_policy
    running_guest a --disk qcow2:64M:fill=5
    virsh -q checkpoint-create-as "$GUEST" one
    expect_exit 0 vp plan "$GUEST"
    assert_out "definition: keep .*checkpoints"
    sed -i 's/definition: auto/definition: dance/' "$POLICY"
    refused 1 "checkpoints.*lose"
}

test_definition_edited_for_the_next_start() {
    simple_policy
    running_guest a --disk raw:16M
    sed "s#$(live_image "$GUEST" vda)#$TEST_DIR/next.raw#" "$TEST_DIR/before.xml" >"$TEST_DIR/edited.xml"
    truncate -s 16M "$TEST_DIR/next.raw"
    virsh -q define "$TEST_DIR/edited.xml"
    expect_exit 1 vp move "$GUEST"
    assert_err "another source"
    no_target_left "$GUEST"
}

test_no_right_to_the_state_directory() {
    simple_policy
    running_guest a --disk raw:16M
    STATE=/proc/nowhere
    expect_exit 1 vp move "$GUEST"
    assert_err "state directory|cannot"
    STATE=$TEST_DIR/state
    assert_untouched "$GUEST"
}

test_alone_target_cluster_nearly_full() {
    simple_policy
    running_guest a --disk raw:16M
    ceph_in flash osd set-nearfull-ratio 0.0001 >/dev/null 2>&1
    wait_for 60 is_nearfull
    local code=0
    vp move "$GUEST" >"$OUT" 2>"$ERR" || code=$?
    ceph_in flash osd set-nearfull-ratio 0.85 >/dev/null 2>&1
    wait_for 60 is_healthy
    assert_eq 1 "$code" "exit code"
    assert_err "NEARFULL|nearly full"
    assert_untouched "$GUEST"
}
is_nearfull() { ceph_in flash health | grep -qi nearfull; }
is_healthy() { [[ $(ceph_in flash health) == HEALTH_OK ]]; }
