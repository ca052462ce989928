# The agent: what it does by itself, and what it outlives. On the first host.
# shellcheck shell=bash disable=SC2154
. "$LAB_FOLDER/moves.sh"

# Only guests of this test: an agent sees every guest of the host.
agent_policy() {
    simple_policy
    sed -i "s/match: {}/match: {domain: '$T-*'}/" "$POLICY"
    printf '%s\n' "$@" >>"$POLICY"
}

slow_agent_policy() {
    agent_policy "$@"
    sed -i 's#pool: flash/fast#&\n    copy: {bandwidth: 20MiB, mode: background}#' "$POLICY"
}

is_defined_on_flash() {
    [[ $(saved_image "$1" vda) == "rbd:flash/fast/$1-vda" ]]
}

# assert_agent_moves GUEST [SECONDS]: and all is as after any move.
assert_agent_moves() {
    wait_for "${2:-60}" is_defined_on_flash "$1" || fail "$1 has not moved: $(agent_log)"
    wait_for 30 request_is "$1" gone || fail "its request: $(vp status "$1")"
    assert_moved "$1" "vda=rbd:flash/fast/$1-vda"
    assert_eq 1 "$(moves_of "$1")" "moves of $1"
}

moves_of() {
    sqlite3 "$STATE/journal.db" "SELECT count(*) FROM moves WHERE domain = '$1'"
}
requests_of() {
    sqlite3 "$STATE/journal.db" "SELECT count(*) FROM requests WHERE domain = '$1'"
}

# --- triggers

# A guest that may be moved as soon as it runs. Sets GUEST.
started_guest() {
    GUEST=$(new_guest "$@")
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    start_guest "$GUEST"
}

test_start_of_a_guest_moves_it() {
    local old left
    agent_policy "triggers: {on_start: true}"
    sed -i "s/^rules:/&\n  - {match: {domain: $T-left}, leave: true}/" "$POLICY"
    running_guest old --disk raw:32M
    old=$GUEST
    start_agent
    started_guest left --disk raw:16M
    left=$GUEST
    started_guest new --disk raw:64M:fill=5
    assert_agent_moves "$GUEST"
    assert_match "/vda.raw$" "$(live_image "$left" vda)" "disk that a rule leaves where it is"
    request_is "$left" gone || fail "$(vp status)"
    assert_match "/vda.raw$" "$(live_image "$old" vda)" "disk of the guest that ran before the agent"
    stop_agent
    assert_eq 0 "$(requests_of "$old")" "requests for $old"
    # It starts again while there is no agent.
    virsh -q destroy "$old"
    save_xml "$old" "$TEST_DIR/before.xml"
    start_guest "$old"
    start_agent
    assert_agent_moves "$old"
    assert_eq 1 "$(requests_of "$GUEST")" "requests for $GUEST"
}

# A tier in the metadata concerns every agent of the host: this test's has a name of its own.
label_policy() {
    agent_policy "limits: {retries: 1, retry_pause: 1s}"
    sed -i "s/^  gold:/  $T:/; s/tier: gold}/leave: true}/" "$POLICY"
}

# set_tier GUEST TIER OPTION...
set_tier() {
    virsh -q metadata "$1" urn:virt-pivot:1 --key pivot --set "<tier>$2</tier>" "${@:3}"
}

test_tier_in_the_metadata() {
    label_policy
    running_guest a --disk raw:64M:fill=5
    start_agent
    set_tier "$GUEST" "$T" --live --config
    wait_for 60 is_defined_on_flash "$GUEST" || fail "$(agent_log)"
    wait_for 30 request_is "$GUEST" gone
    verify_writes --snapshot "$GUEST"
    assert_eq "$T" "$(xml_value "$GUEST" 'metadata/{urn:virt-pivot:1}tier')" "live metadata"
    assert_eq "$T" "$(xml_value "$GUEST" 'metadata/{urn:virt-pivot:1}tier' --inactive)" "metadata"
    assert_eq 1 "$(requests_of "$GUEST")" "requests"
    virsh -q metadata "$GUEST" urn:virt-pivot:1 --remove --live --config
    sleep 3
    assert_eq 1 "$(requests_of "$GUEST")" "requests after the metadata were removed"
    assert_eq "rbd:flash/fast/$GUEST-vda" "$(live_image "$GUEST" vda)"
    set_tier "$GUEST" platinum --live --config
    wait_for 30 request_is "$GUEST" failed || fail "$(vp status)"
    expect_exit 0 vp status
    assert_out "platinum"
    wait_writes "$GUEST" 5
}

# --- requests

test_queued_move() {
    agent_policy
    running_guest a --disk raw:64M:fill=5
    expect_exit 0 vp move --queue "$GUEST"
    request_is "$GUEST" queued || fail "$(vp status)"
    assert_untouched "$GUEST"
    start_agent
    assert_agent_moves "$GUEST"
    expect_exit 3 vp move --queue "$GUEST"
}

# A guest that is off, whose metadata ask for a tier. Sets GUEST.
labelled_guest() {
    GUEST=$(new_guest "$1" --disk raw:32M)
    set_tier "$GUEST" "$T" --config
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    wait_for 20 request_is "$GUEST" waiting || fail "no request: $(agent_log)"
}

test_request_waits_for_the_start_or_is_cancelled() {
    local cancelled
    label_policy
    start_agent
    labelled_guest a
    cancelled=$GUEST
    labelled_guest b
    expect_exit 0 vp cancel "$cancelled"
    request_is "$cancelled" gone || fail "$(vp status)"
    start_guest "$cancelled"
    request_is "$GUEST" waiting || fail "$(vp status)"
    start_guest "$GUEST"
    assert_agent_moves "$GUEST"
    assert_match "/vda.raw$" "$(live_image "$cancelled" vda)" "disk of $cancelled"
    assert_eq 0 "$(moves_of "$cancelled")" "moves of $cancelled"
}

test_one_move_at_a_time() {
    slow_agent_policy "limits: {per_host: 1}"
    running_guest a --disk raw:64M:fill=14
    local first=$GUEST
    cp "$TEST_DIR/before.xml" "$TEST_DIR/first.xml"
    running_guest b --disk raw:64M:fill=14
    start_agent
    expect_exit 0 vp move --queue "$first"
    expect_exit 0 vp move --queue "$GUEST"
    wait_copying
    assert_eq 1 "$(json "$TEST_DIR/status.json" 'len(d["moves"])')" "moves under way"
    assert_agent_moves "$GUEST"
    cp "$TEST_DIR/first.xml" "$TEST_DIR/before.xml"
    assert_agent_moves "$first"
    assert_eq 0 "$(overlapping)" "moves that overlapped"
}
overlapping() {
    sqlite3 "$STATE/journal.db" "SELECT count(*) FROM moves a, moves b \
        WHERE a.id < b.id AND b.created < a.updated"
}

test_failed_request_is_told_and_tried_a_few_times() {
    agent_policy "limits: {retries: 2, retry_pause: 1s}"
    running_guest a --disk raw:32M
    expect_exit 0 vp move --queue "$GUEST"
    rbd_in flash create --size 1M "fast/$GUEST-vda"
    start_agent
    wait_for 60 request_is "$GUEST" failed || fail "$(vp status; agent_log)"
    assert_eq 3 "$(json "$TEST_DIR/status.json" 'd["requests"][0]["attempts"]')" "attempts"
    assert_match "exists already" "$(json "$TEST_DIR/status.json" 'd["requests"][0]["message"]')"
    expect_exit 0 vp status
    assert_out "$GUEST"
    assert_out "exists already"
    rbd_in flash rm --no-progress "fast/$GUEST-vda"
    sleep 3
    request_is "$GUEST" failed || fail "it was tried again: $(vp status)"
    assert_untouched "$GUEST"
    expect_exit 0 vp move --queue "$GUEST"
    wait_for 60 is_defined_on_flash "$GUEST" || fail "$(agent_log)"
    wait_for 30 request_is "$GUEST" gone || fail "what failed is still shown: $(vp status)"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
}

# Whatever lies in the queue, the agent neither dies nor waits, and does what can be read.
test_garbage_in_the_queue() {
    agent_policy
    running_guest a --disk raw:32M
    expect_exit 0 vp move --queue "$GUEST"
    local queue=$STATE/queue
    head -c 3000 /dev/urandom >"$queue/0.json"
    echo '{"uuid": ["no"], "reason": 7}' >"$queue/1.json"
    head -c 9000000 /dev/zero >"$queue/2.json"
    : >"$queue/3.json"
    mkdir "$queue/4.json"
    ln -s /etc/passwd "$queue/5.json"
    mkfifo "$queue/6.json"
    printf '{"version":1,"uuid":"../../etc","reason":"user"}' >"$queue/7.json"
    printf '%s' '{"uuid":"' >"$queue/.half"
    chown -hR "$VP_LAB_UID" "$queue"
    start_agent
    assert_agent_moves "$GUEST"
    assert_eq "" "$(find "$queue" -maxdepth 1 -name '*.json')" "left in the queue"
    assert_match "^[1-9]" "$(find "$queue/bad" -name '*.why' | wc -l)" "reasons"
    vp check >"$OUT" 2>"$ERR" || true # other tests' guests are on this host, too
    assert_out "^warning .*queue"
    grep -q root /etc/passwd
}

# --- what it outlives

test_agent_killed_in_mid_move() {
    slow_agent_policy
    running_guest a --disk raw:128M:fill=80
    start_agent
    expect_exit 0 vp move --queue "$GUEST"
    wait_copying
    kill_agent
    sleep 1
    start_agent
    assert_agent_moves "$GUEST"
    assert_eq 1 "$(requests_of "$GUEST")" "requests"
}

test_agent_and_move_killed() {
    slow_agent_policy "limits: {retry_pause: 1s}"
    running_guest a --disk raw:128M:fill=80
    start_agent
    expect_exit 0 vp move --queue "$GUEST"
    wait_copying
    local child
    child=$(pgrep -P "$(agent_pid)")
    kill_agent
    kill -KILL "$child"
    start_agent
    wait_for 60 is_defined_on_flash "$GUEST" || fail "$(agent_log)"
    wait_for 30 request_is "$GUEST" gone || fail "$(vp status)"
    assert_moved "$GUEST" "vda=rbd:flash/fast/$GUEST-vda"
    assert_eq 2 "$(moves_of "$GUEST")" "moves"
}

test_agent_stopped_in_mid_move() {
    slow_agent_policy
    running_guest a --disk raw:128M:fill=60
    start_agent
    expect_exit 0 vp move --queue "$GUEST"
    wait_copying
    stop_agent
    wait_for 60 is_defined_on_flash "$GUEST" || fail "the move did not go on by itself"
    wait_for 20 nothing_under_way
    start_agent
    assert_agent_moves "$GUEST"
}

test_second_agent_is_refused() {
    agent_policy
    start_agent
    expect_exit 1 vp agent
    assert_err "$(agent_pid)"
}

# While the agent has nothing to do, and in mid-move: the move goes on by itself, and the agent
# notices its end.
test_alone_libvirtd_killed_under_the_agent() {
    slow_agent_policy "triggers: {on_start: true}"
    start_agent
    lab libvirtd kill
    sleep 3
    is_alive "$(agent_pid)" || fail "the agent is gone: $(agent_log)"
    lab libvirtd start
    GUEST=$(new_guest a --disk raw:256M:fill=150)
    save_xml "$GUEST" "$TEST_DIR/before.xml"
    lab guest start "$GUEST"
    wait_copying
    lab libvirtd kill
    sleep 1
    lab libvirtd start
    assert_agent_moves "$GUEST" 90
}

# A request that is in the queue, and no room for it in the journal; then, no room in the queue.
test_full_disk_under_the_queue() {
    agent_policy
    running_guest a --disk raw:32M
    mount -t tmpfs -o "size=4m,uid=$VP_LAB_UID,gid=$VP_LAB_UID,mode=0700" "$T" "$STATE"
    # shellcheck disable=SC2064
    trap "umount --lazy '$STATE'" EXIT
    start_agent
    kill -STOP "$(agent_pid)"
    expect_exit 0 vp move --queue "$GUEST"
    fill_up
    expect_exit 1 vp move --queue "$GUEST"
    assert_err "[Nn]o space|full"
    assert_eq 1 "$(find "$STATE/queue" -type f | wc -l)" "files in the queue"
    kill -CONT "$(agent_pid)"
    sleep 5
    is_alive "$(agent_pid)" || fail "the agent is gone: $(agent_log)"
    assert_eq 1 "$(find "$STATE/queue" -type f | wc -l)" "files in the queue"
    agent_log | grep -E "full" >"$TEST_DIR/full" || fail "the agent does not say so"
    assert_eq "" "$(sort "$TEST_DIR/full" | uniq -d)" "said more than once"
    assert_untouched "$GUEST"
    rm "$STATE/filler"
    assert_agent_moves "$GUEST"
}
fill_up() {
    run_as_user dd if=/dev/zero of="$STATE/filler" bs=4k status=none 2>/dev/null || true
    run_as_user dd if=/dev/zero of="$STATE/filler" bs=1 oflag=append conv=notrunc status=none 2>/dev/null || true
}

test_policy_is_broken_and_mended() {
    agent_policy
    cp "$POLICY" "$TEST_DIR/good.yaml"
    echo "nonsense: [" >>"$POLICY"
    running_guest a --disk raw:64M:fill=5
    start_agent
    wait_for 20 has_size "$GUEST" vda 67108864 || fail "no sizes without a policy: $(agent_log)"
    cp "$TEST_DIR/good.yaml" "$POLICY"
    expect_exit 0 vp move --queue "$GUEST"
    assert_agent_moves "$GUEST"
    # The last good one is used.
    running_guest b --disk raw:32M
    expect_exit 0 vp move --queue "$GUEST"
    echo "nonsense: [" >>"$POLICY"
    sleep 3
    is_alive "$(agent_pid)" || fail "the agent is gone"
}

# --- sizes

has_size() {
    local sizes
    sizes=$(virsh -q dumpxml "$1" | "$PYTHON" -c '
import sys, xml.etree.ElementTree as ET
for disk in ET.parse(sys.stdin).getroot().iterfind("metadata/{urn:virt-pivot:1:disks}disks/*"):
    print(disk.get("target"), disk.get("capacity"))')
    [[ $'\n'$sizes$'\n' == *$'\n'"$2 ${3:-}"* ]]
}

test_sizes_are_kept_current() {
    agent_policy
    start_agent
    running_guest a --disk raw:64M --disk qcow2:32M
    wait_for 20 has_size "$GUEST" vda 67108864 || fail "after the start: $(agent_log)"
    wait_for 5 has_size "$GUEST" vdb 33554432
    truncate -s 16M "$TEST_DIR/more.raw"
    virsh -q attach-disk "$GUEST" "$TEST_DIR/more.raw" vdc --driver qemu --subdriver raw
    wait_for 20 has_size "$GUEST" vdc 16777216 || fail "after attach-disk: $(agent_log)"
    virsh -q blockresize "$GUEST" vda 96M
    wait_for 60 has_size "$GUEST" vda 100663296 || fail "after blockresize: $(agent_log)"
    save_xml "$GUEST" "$TEST_DIR/after.xml"
    cmp "$TEST_DIR/before.xml" "$TEST_DIR/after.xml" || fail "the definition changed"
    wait_writes "$GUEST" 5
}

# --- systemd

test_service_manager_is_told() {
    agent_policy
    start_agent WATCHDOG_USEC=2000000
    agent_told "STATUS=.*guests? running.*" || fail "$(cat "$STATE.told")"
    wait_for 20 agent_told "WATCHDOG=1" || fail "no WATCHDOG=1"
    stop_agent
    wait_for 5 agent_told "STOPPING=1" || fail "no STOPPING=1"
}
