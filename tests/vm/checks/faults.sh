#!/bin/bash
# Cameras that fail while the program runs, in each way that vivid can be told to. After each fault the
# stream must be back by itself. A scenario leaves the number of results before the fault
# (`results.before`), when the stream was thought to be back (`results.back`), and at the end
# (`results.end`, which is absent when no further ones came).
# shellcheck source=tests/vm/checks/lib.sh
source "$(dirname "$0")/lib.sh"

enough=20                               # results after which a stream counts as running

# with_fault COMMAND...: a running board, the fault, the stream's return, and an orderly end.
with_fault() {
    run_board
    if ready && wait_results $enough; then
        observe before
        results >"$at/results.before"
        "$@"
        local back
        back=$(results); echo "$back" >"$at/results.back"
        if wait_results $((back + enough)); then results >"$at/results.end"; fi
        observe after
        kill -TERM "$pid"
    fi
    finish
}

# inject CONTROL: press one of the driver's fault buttons.
inject() { controls "$1=1"; }

# lost_and_back COMMAND...: a fault that is noticed, and the program's word that it is over.
lost_and_back() { "$@"; said 'trying until it is back' && said 'frames arrive again'; }

one_camera() { cameras 1; controls timestamp_source=1; profile "$@"; }

buffer_error()    { one_camera; with_fault inject inject_v4l2_buf_flag_error; }
queue_error()     { one_camera; with_fault lost_and_back inject inject_vidioc_qbuf_error; }
fatal_streaming() { one_camera; with_fault lost_and_back inject inject_fatal_streaming_error; }

# The node says ENODEV until its last user has closed it.
disconnect()      { one_camera io='"userptr"'; with_fault lost_and_back inject disconnect; }
disconnect_mmap() { one_camera io='"mmap"'; with_fault lost_and_back inject disconnect; }

# The same, again and again, which the log sums up: it is back when more results have come than were on their way.
disconnects() { local i; for i in 1 2 3 4 5 6; do inject disconnect; wait_results $(($(results) + enough)) || return; done; }
disconnect_again_and_again() { one_camera io='"mmap"'; with_fault disconnects; }

# The stream falls silent, without any error.
fall_silent() { controls percentage_of_dropped_buffers=100; said 'it delivers no frames'; controls percentage_of_dropped_buffers=0; said 'frames arrive again'; }
silence()     { one_camera time-out-ms=500; with_fault fall_silent; }

# The node disappears, and comes back.
rebind() { echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind; said 'the device is gone'; lets_go /dev/video0; echo vivid.0 >/sys/bus/platform/drivers/vivid/bind; said 'frames arrive again'; }
unbind() { one_camera; with_fault rebind; }

# A call fails once when the stream is started again after a disconnect.
failing_return() { inject "$1"; lost_and_back inject disconnect; }
disconnect_then_reqbufs_error()  { one_camera io='"userptr"'; with_fault failing_return inject_vidioc_reqbufs_error; }
disconnect_then_streamon_error() { one_camera io='"mmap"'; with_fault failing_return inject_vidioc_streamon_error; }

# Of two cameras one is gone; the other one's results go on, and only then it may come back.
gate_is_gone() {
    # Whoever has the node open keeps it from coming back.
    exec 9<>/dev/video1
    camera=/dev/video1 inject disconnect
    said 'camera gate: the device is gone'
    of_camera door >"$at/door.before"
    wait_results_of door $(($(<"$at/door.before") + 60))
    of_camera door >"$at/door.after"
    exec 9>&-
    said 'camera gate: frames arrive again'
}
one_of_two() { cameras 2; profile two-nodes.toml; with_fault gate_is_gone; }

# A camera whose node appears after the start.
appears() {
    echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
    said 'camera door: it is there' && said 'camera door: frames arrive again'
    of_camera door >"$at/door.before"
    wait_results_of door $(($(<"$at/door.before") + enough))
    of_camera door >"$at/door.after"
}
late_camera() { cameras 1; echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind; profile late.toml; with_fault appears; }

# The driver's counters pass their largest value soon after the start.
wrapped_sequence()  { one_camera; controls wrap_sequence_number=1; run_board --frames 150; finish; }
wrapped_timestamp() { one_camera; controls wrap_timestamp=1; run_board --frames 150; finish; }

# The first start fails: it is said, and the program ends.
start_fails() { one_camera; controls inject_vidioc_streamon_error=1; run_board --frames 10; finish; }

# The driver takes USERPTR when asked, and refuses the first buffer: `auto` has another way.
late_refusal()         { one_camera; inject inject_vidioc_qbuf_error; run_board --frames 30; finish; }
late_refusal_userptr() { one_camera io='"userptr"'; inject inject_vidioc_qbuf_error; run_board --frames 30; finish; }

scenarios buffer_error queue_error fatal_streaming disconnect disconnect_mmap disconnect_again_and_again \
    silence unbind disconnect_then_reqbufs_error disconnect_then_streamon_error one_of_two late_camera \
    wrapped_sequence wrapped_timestamp start_fails late_refusal late_refusal_userptr
