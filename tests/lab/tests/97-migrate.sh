# Domains that are off, and whose images RBD itself brings into another pool of their cluster.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/migrations.sh"

# migrate_policy [AFTER [GRACE]]
migrate_policy() {
    simple_policy "qos: {iops: 5000}"
    cat >>"$POLICY" <<EOF
offline: migrate
source: {after: ${1:-keep}, grace: ${2:-0s}}
EOF
}

# The disks of a guest that has written, and is off. Sets GUEST.
idle_guest() {
    running_guest "$@"
    virsh -q destroy "$GUEST"
    assert_eq "shut off" "$(state_of "$GUEST")"
}

near() { # near DISK SIZE FILL: a disk in the cluster that the policy moves it within
    echo "rbd:flash/bulk/$T-$1:$2:fill=$3"
}

assert_still_off() {
    local pair
    assert_eq "shut off" "$(state_of "$GUEST")"
    for pair; do
        assert_eq "${pair#*=}" "$(saved_image "$GUEST" "${pair%%=*}")" "defined image of ${pair%%=*}"
    done
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    same_xml_but_disks "$TEST_DIR/before.xml" "$TEST_DIR/after.xml"
}

# There may be nothing left to do.
recover() {
    local code=0
    vp recover >"$OUT" 2>"$ERR" || code=$?
    ((code == 0 || code == 3)) || fail "exit code $code of recover: $(cat "$ERR")"
}

# In the pool's trash, as the source of a migration.
trashed() {
    rbd_in flash trash ls --all --long bulk | grep -qE "^[^ ]+ +$1 +MIGRATION"
}
gone() {
    ! image_exists "flash/bulk/$1" && ! rbd_in flash trash ls --all bulk | grep -q " $1\$"
}
is_in_place() {
    image_exists "flash/bulk/$1" && ! rbd_in flash trash ls --all bulk | grep -q " $1\$"
}
phase() {
    sqlite3 "$STATE/journal.db" "SELECT phase FROM moves ORDER BY id DESC LIMIT 1"
}
verdicts() {
    sqlite3 "$STATE/journal.db" "SELECT group_concat(verdict) FROM disks"
}

test_guest_is_started_while_its_data_follow() {
    migrate_policy trash
    idle_guest a --disk "$(near one 1G 600)" --disk "$(near two 256M 20)"
    start_vp move "$GUEST"
    wait_for 60 is_redefined || fail "its definition does not name the targets: $(cat "$TEST_DIR"/*err*)"
    local second=$SECONDS
    start_guest "$GUEST"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(live_image "$GUEST" vda)" "live image"
    wait_writes "$GUEST" 30
    wait_vp 0 240
    echo "moved and proven within $((SECONDS - second)) s of the start"
    assert_eq 1,1 "$(verdicts)" "verdicts"
    assert_eq 10 "$(phase)" "phase"
    trashed "$T-one" || fail "the source is not where it should be"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
    rbd_in flash image-meta list "fast/$GUEST-vda" >"$TEST_DIR/meta"
    grep -q "conf_rbd_qos_iops_limit *5000" "$TEST_DIR/meta" || fail "no limit is set"

    expect_exit 1 vp undo 1
    assert_err "was migrated by RBD"
    assert_err "retire --now 1"
    # While the guest runs on it.
    expect_exit 0 vp retire
    gone "$T-one" || fail "the source is still there"
    gone "$T-two" || fail "the second source is still there"
    assert_eq 11 "$(phase)" "phase"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
    virsh -q destroy "$GUEST"
    start_guest "$GUEST"
    wait_writes "$GUEST" 20
    verify_writes --snapshot "$GUEST"
}
is_redefined() {
    [[ $(saved_image "$GUEST" vda) == "rbd:flash/fast/$GUEST-vda" ]]
}

test_guest_that_stays_off() {
    migrate_policy
    idle_guest a --disk "$(near src 256M 60)"
    rbd_in flash export --no-progress "bulk/$T-src" "$TEST_DIR/before"
    expect_exit 0 vp move --dry-run "$GUEST"
    assert_out "live migration"
    is_in_place "$T-src" || fail "a plan has moved the source"
    expect_exit 0 vp move "$GUEST"
    assert_still_off "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq 1 "$(verdicts)" "verdict"
    compare_images "$TEST_DIR/before" "rbd:flash/fast/$GUEST-vda"
    verify_writes "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    # Kept: until the operator says so.
    expect_exit 3 vp retire 1
    assert_err "retire --now 1"
    trashed "$T-src" || fail "the source is not where it should be"
    expect_exit 0 vp retire --now 1
    gone "$T-src" || fail "the source is still there"
    compare_images "$TEST_DIR/before" "rbd:flash/fast/$GUEST-vda"
    expect_exit 3 vp move "$GUEST"
}

# What was put off goes on, by whoever is asked.
test_its_data_are_brought_over_later() {
    migrate_policy
    idle_guest a --disk "$(near src 1G 600)"
    start_vp move "$GUEST"
    wait_for 60 is_redefined || fail "its definition does not name the target"
    kill_vp
    recover
    assert_still_off "vda=rbd:flash/fast/$GUEST-vda"
    expect_exit 0 vp verify
    assert_eq 1 "$(verdicts)" "verdict"
    assert_eq 10 "$(phase)" "phase"
    ! pgrep -f "$STATE bring" >/dev/null || fail "a process has outlived its purpose"
}

# Killed after the source has left its name, and before the definition names the target.
test_killed_in_its_preparation() {
    local try undone=0 finished=0
    migrate_policy
    idle_guest a --disk "$(near one 64M 8)" --disk "$(near two 64M 8)" --disk "$(near three 64M 8)"
    for ((try = 0; try < 3; try++)); do
        start_vp move "$GUEST"
        wait_for 60 has_left_its_name "$T-one" || fail "it is not prepared: $(tail -n 3 "$TEST_DIR"/*)"
        sleep "0.$((try * 2))"
        kill_vp
        recover
        is_redefined && { finished=1 && break; }
        undone=$((undone + 1))
        is_in_place "$T-one" && is_in_place "$T-two" && is_in_place "$T-three" || fail "a source is not back"
        save_xml "$GUEST" "$TEST_DIR/after.xml"
        cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml" || fail "the definition changed"
        no_target_left "$GUEST"
        verify_writes "$GUEST"
        # Of who was killed, for half a minute.
        wait_for 60 nobody_watches one two three || fail "a source is still watched"
    done
    ((undone > 0)) || fail "it was never caught in its preparation"
    echo "$undone times undone"
    ((finished)) || expect_exit 0 vp move "$GUEST"
    start_guest "$GUEST"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb" \
        "vdc=rbd:flash/fast/$GUEST-vdc"
}
nobody_watches() {
    local name
    for name; do
        [[ $(watchers "flash/bulk/$T-$name") == 0 ]] || return 1
    done
}
has_left_its_name() {
    ! rados -c "$(cluster_folder flash)/ceph.conf" -p bulk stat "rbd_id.$1"
}

test_source_in_use_is_refused() {
    migrate_policy
    GUEST=$(new_guest a --disk "$(near src 64M 4)")
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    qemu-nbd --fork --persistent --pid-file "$TEST_DIR/nbd.pid" --socket "$TEST_DIR/nbd" \
        --format raw "rbd:bulk/$T-src:conf=$(cluster_folder flash)/ceph.conf" </dev/null
    expect_exit 1 vp move "$GUEST"
    kill "$(cat "$TEST_DIR/nbd.pid")"
    assert_err "the domain is off, but .* has the source image open"
    is_in_place "$T-src" || fail "the source is not where it was"
}

test_what_cannot_be_migrated_is_copied() {
    migrate_policy
    idle_guest a --disk "$(near src 64M 8)" --disk raw:64M:fill=8
    expect_exit 0 vp move "$GUEST"
    assert_err "disk vdb cannot be migrated, so that all are copied: its source is no RBD image"
    is_in_place "$T-src" || fail "the source is not where it was"
    verify_writes "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
}

test_agent_brings_it_over_and_gives_the_source_up() {
    migrate_policy trash
    sed -i "s/match: {}/match: {domain: '$T-*'}/" "$POLICY"
    idle_guest a --disk "$(near src 512M 200)"
    start_agent
    expect_exit 0 vp move "$GUEST" --queue
    wait_for 60 is_redefined || fail "it has not moved: $(agent_log)"
    start_guest "$GUEST"
    wait_for 120 gone "$T-src" || fail "its source is still there: $(agent_log)"
    stop_agent
    assert_eq 11 "$(phase)" "phase"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# Of what was migrated there is nothing left to go back to but the name.
test_it_goes_back_once_it_is_retired() {
    migrate_policy
    idle_guest a --disk "$(near one 256M 60)" --disk "$(near two 64M 8)"
    expect_exit 0 vp move "$GUEST"
    expect_exit 0 vp retire --now 1
    start_guest "$GUEST"
    wait_writes "$GUEST" 20
    virsh -q destroy "$GUEST"
    rbd_in flash create --size 1M "bulk/$T-two"
    expect_exit 1 vp undo 1
    assert_err "disk vdb: .*by now there is another image of that name"
    rbd_in flash rm --no-progress "bulk/$T-two"
    expect_exit 0 vp undo 1
    assert_err "an image of its name is made"
    assert_still_off "vda=rbd:flash/bulk/$T-one" "vdb=rbd:flash/bulk/$T-two"
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml" || fail "the definition is not the old one"
    assert_eq 1,1,1,1 "$(verdicts)" "verdicts"
    verify_writes "$GUEST" "vda=rbd:flash/bulk/$T-one" "vdb=rbd:flash/bulk/$T-two"
    verify_writes "$GUEST" "vda=rbd:flash/fast/$GUEST-vda" "vdb=rbd:flash/fast/$GUEST-vdb"
    start_guest "$GUEST"
    wait_writes "$GUEST" 20
    expect_exit 0 vp undo 2
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(live_image "$GUEST" vda)" "live image"
    wait_writes "$GUEST" 20
    verify_writes --snapshot "$GUEST"
}

test_it_goes_back_while_its_guest_runs() {
    migrate_policy trash
    idle_guest a --disk "$(near src 256M 60)"
    expect_exit 0 vp move "$GUEST"
    expect_exit 0 vp retire
    start_guest "$GUEST"
    wait_writes "$GUEST" 20
    expect_exit 0 vp undo 1
    assert_eq "rbd:flash/bulk/$T-src" "$(live_image "$GUEST" vda)" "live image"
    assert_eq "rbd:flash/bulk/$T-src" "$(saved_image "$GUEST" vda)" "defined image"
    wait_writes "$GUEST" 20
    verify_writes --snapshot "$GUEST"
}
