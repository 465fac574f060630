#!/bin/bash
# Capture, placement, accounting, and stopping, against the real V4L2 interface.
# shellcheck source=tests/vm/checks/lib.sh
source "$(dirname "$0")/lib.sh"

# The driver writes into hugepages of node 1; an observer looks on.
userptr_nv12() {
    cameras 1; controls timestamp_source=1
    profile io='"userptr"' node=1
    run_board --frames 300
    ready && observe ready
    finish
}

# The driver's own buffers are the slots.
mmap_yuyv() {
    cameras 1; controls timestamp_source=1
    profile io='"mmap"' format='"YUYV"'
    run_board --frames 300
    finish
}

userptr_yuyv() {
    cameras 1; controls timestamp_source=1
    profile io='"userptr"' format='"YUYV"' node=0
    run_board --frames 60
    ready && observe ready
    finish
}

mmap_nv12() {
    cameras 1; controls timestamp_source=1
    profile io='"mmap"'
    run_board --frames 60
    finish
}

# A driver that takes our memory is given it.
auto_io() {
    cameras 1
    profile io='"auto"'
    run_board --frames 30
    finish
}

# A driver that wants memory it can reach by DMA refuses ours: `auto` goes on with its own buffers ...
auto_io_refused() {
    cameras 1 allocators=1
    profile io='"auto"'
    run_board --frames 60
    finish
}

# ... and who asked for nothing else is told.
userptr_refused() {
    cameras 1 allocators=1
    profile io='"userptr"'
    run_board --frames 30
    finish
}

# Stamps that lie in the future, as vivid's do by default.
future_stamps() {
    cameras 1; controls timestamp_source=0
    profile
    run_board --frames 60
    finish
}

# A short run in which nothing is lost. The driver itself skips numbers when its own thread, emulated
# here, comes late by a frame: its frames are far apart and small, and on a busy machine it takes some
# attempts all the same.
loses_nothing() {
    local attempt
    cameras 1; controls timestamp_source=1
    profile width-px=640 height-px=360 rate-hz=10
    for ((attempt = 0; attempt < 20; attempt++)); do
        run_board --frames 45
        finish
        if [ "$(<"$at/exit")" != 0 ] || grep -q '"lost_in_driver": 0,' "$at/proof.json"; then break; fi
    done
}

# put FILE VALUE...: write each value to its file. Prints what was there before.
put() {
    while [ $# -gt 0 ]; do
        printf '%s %s ' "$1" "$(<"$1")"
        echo "$2" >"$1" || fail "$1 does not take $2"
        shift 2
    done
}

# stray: a process that runs on node 0, and whose pages lie on node 1: NUMA balancing unmaps these, while it
# leaves the pages of a process alone that lie where it runs.
stray() {
    local memory
    taskset -pc 2 $BASHPID >/dev/null
    printf -v memory '%*s' 8000000 ''
    taskset -pc 1 $BASHPID >/dev/null
    while :; do :; done
}

unmapped() { sed -n 's/^numa_pte_updates //p' /proc/vmstat; }
has_unmapped() { [ "$(unmapped)" -gt "$1" ]; }

# A kernel that looks after memory as eagerly as it can, from ready on: NUMA balancing unmaps pages to see
# who uses them, and khugepaged copies small pages together. Leaves how far both of them went
# (`meddled.before`, `.after`): pages unmapped, until there are some, and rounds of khugepaged.
meddling_kernel() {
    local numa=/sys/kernel/debug/sched/numa_balancing before strayed enough
    local large=/sys/kernel/mm/transparent_hugepage/khugepaged
    meddled() { grep -h numa_pte_updates /proc/vmstat; echo "full_scans $(<$large/full_scans)"; }
    cameras 1
    profile
    run_board
    ready || { finish; return; }
    meddled >"$at/meddled.before"
    before=$(put $numa/scan_delay_ms 5 $numa/scan_period_min_ms 5 $numa/scan_period_max_ms 5 \
        $large/scan_sleep_millisecs 10 $large/pages_to_scan 100000)
    enough=$(($(results) + 120))
    stray & strayed=$!
    wait_for 'pages unmapped to see who uses them' has_unmapped "$(sed -n 's/^numa_pte_updates //p' "$at/meddled.before")"
    wait_results $enough
    meddled >"$at/meddled.after"
    kill -KILL $strayed; wait $strayed 2>/dev/null
    # shellcheck disable=SC2086
    put $before >/dev/null
    kill -TERM "$pid"
    finish
}

# The driver throws away one frame of four, until the camera is called slow and some hundred have come.
dropped_by_driver() {
    cameras 1; controls percentage_of_dropped_buffers=25
    profile
    run_board
    if ready; then
        said 'instead of 30.0' && wait_results 300
        kill -TERM "$pid"
    fi
    finish
}

# The program is stopped for at least eight seconds, longer than a silence may be: the driver has no buffer left
# and skips frames.
held_up() {
    cameras 1; controls timestamp_source=1
    profile time-out-ms=7000
    run_board
    if ready && wait_results 20; then
        kill -STOP "$pid"; sleep 8; kill -CONT "$pid"
        wait_results $(($(results) + 20))
        kill -TERM "$pid"
    fi
    finish
}

# Two cameras, each with its slots on its own node.
two_nodes() {
    cameras 2
    camera=/dev/video0 controls timestamp_source=1
    camera=/dev/video1 controls timestamp_source=1
    profile two-nodes.toml
    run_board --frames 150
    ready && observe ready
    finish
}

# Eight cameras of 1080p30 at once, four on each of two capture threads.
eight_cameras() {
    cameras 8
    for camera in /dev/video{0..7}; do controls timestamp_source=1; done
    profile eight.toml
    run_board
    if ready; then
        for camera in {0..7}; do wait_results_of "eye$camera" 20; done
        kill -TERM "$pid"
    fi
    finish
}

# Asked to stop while it runs; in between, an observer counts for itself what happens after ready.
stop_on_sigterm() {
    cameras 1; controls timestamp_source=1
    profile
    run_board
    if ready; then
        wait_results 30; observe begin
        wait_results $(($(results) + 150)); observe end
        kill -TERM "$pid"
    fi
    finish
}

stop_on_sigint() {
    cameras 1
    profile
    run_board
    ready && { wait_results 1; kill -INT "$pid"; }
    finish
}

# Asked to stop before it is ready.
stop_while_arming() {
    cameras 1
    profile
    run_board
    said 'camera door:' && kill -TERM "$pid"
    finish
}

absent_camera() {
    cameras 1
    profile device='"/dev/video9"'
    run_board --frames 30
    finish
}

not_a_camera() {
    cameras 1
    profile device='"/dev/null"'
    run_board --frames 30
    finish
}

# More hugepages asked for than node 1 has.
too_few_hugepages() {
    cameras 1; reserve 1 2
    profile node=1 on-shortage='"refuse"'
    run_board --frames 30
    finish
    reserve 1 64
}

fallback_pages() {
    cameras 1; reserve 1 2
    profile node=1 on-shortage='"fallback"'
    run_board --frames 60
    ready && observe ready
    finish
    reserve 1 64
}

# The same board, over and over: what one run takes it gives back.
again_and_again() {
    cameras 1
    profile
    for _ in 1 2 3 4 5; do
        run_board --frames 10
        finish
        [ "$(<"$at/exit")" = 0 ] || break
    done
}

# The pattern with known colours: 100 % bars, without the text that vivid writes over them.
colours_nv12() {
    cameras 1; controls test_pattern=1,osd_text_mode=2
    profile io='"userptr"'
    start snapshot --board "$at/board.toml" --camera door "$at/picture.png"
    finish
}

colours_yuyv() {
    cameras 1; controls test_pattern=1,osd_text_mode=2
    profile io='"mmap"' format='"YUYV"'
    start snapshot --board "$at/board.toml" --camera door "$at/picture.png"
    finish
}

# Results recorded in a file, and read back.
recording() {
    cameras 1
    profile
    run_board --frames 60 --record "$at/results.rec"
    finish
    "$pinsight" results "$at/results.rec" >"$at/read-back" 2>"$at/read-back.stderr"
    echo $? >"$at/read-back.exit"
}

check_command() {
    cameras 1
    profile
    start check --board "$at/board.toml"
    finish
}

probe_command() {
    cameras 2
    start probe
    finish
}

# A profile for whatever cameras there are, and what `check` says to it.
probe_writes_profile() {
    cameras 2
    start probe --write "$at/mine.toml"
    finish
    "$pinsight" check --board "$at/mine.toml" >"$at/check" 2>&1
    echo $? >"$at/check.exit"
}

# The profile that users are given for this driver, as it is shipped.
shipped_profile() {
    cameras 1
    board=boards/vivid.toml run_board --frames 60
    finish
}

scenarios userptr_nv12 mmap_yuyv userptr_yuyv mmap_nv12 auto_io auto_io_refused userptr_refused \
    loses_nothing meddling_kernel future_stamps dropped_by_driver held_up two_nodes eight_cameras stop_on_sigterm stop_on_sigint stop_while_arming \
    absent_camera not_a_camera too_few_hugepages fallback_pages again_and_again colours_nv12 \
    colours_yuyv recording check_command probe_command probe_writes_profile shipped_profile
