#!/bin/bash
# Cameras that fail, in each way that vivid can be told to. After each fault the stream must be back
# by itself: `results.after` and `results.end` count the results some seconds after the fault and at the end.
# shellcheck source=tests/vm/checks/lib.sh
source "$(dirname "$0")/lib.sh"

results() { cat "$at/events.jsonl" 2>/dev/null | wc -l; }

# with_fault COMMAND...: a running board, the fault after two seconds, then time to recover.
with_fault() {
    run_board --seconds 12
    ready || { finish; return; }
    sleep 2; results >"$at/results.before"; observe before
    "$@"
    sleep 4; results >"$at/results.after"
    sleep 3; results >"$at/results.end"; observe after
    finish
}

# inject CONTROL: press one of the driver's fault buttons.
inject() { controls "$1=1"; }

buffer_error()    { cameras 1; profile; with_fault inject inject_v4l2_buf_flag_error; }
fatal_streaming() { cameras 1; profile; with_fault inject inject_fatal_streaming_error; }
queue_error()     { cameras 1; profile; with_fault inject inject_vidioc_qbuf_error; }

# The node says ENODEV until its last user has closed it.
disconnect()      { cameras 1; profile; with_fault inject disconnect; }

# The stream falls silent, without any error.
silence()         { cameras 1; profile; with_fault eval 'controls percentage_of_dropped_buffers=100; sleep 2; controls percentage_of_dropped_buffers=0'; }

# The node disappears, and comes back.
unbind()          { cameras 1; profile; with_fault eval 'echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind; sleep 1; echo vivid.0 >/sys/bus/platform/drivers/vivid/bind'; }

# A call fails once when the stream is started again after a disconnect.
disconnect_then_reqbufs_error()  { cameras 1; profile; with_fault eval 'inject inject_vidioc_reqbufs_error; inject disconnect'; }
disconnect_then_streamon_error() { cameras 1; profile; with_fault eval 'inject inject_vidioc_streamon_error; inject disconnect'; }

# The driver's counters pass their largest value.
wrapped_sequence()  { cameras 1; controls wrap_sequence_number=1; profile; run_board --frames 300; finish; }
wrapped_timestamp() { cameras 1; controls wrap_timestamp=1; profile; run_board --frames 300; finish; }

scenarios buffer_error fatal_streaming queue_error disconnect silence unbind \
    disconnect_then_reqbufs_error disconnect_then_streamon_error wrapped_sequence wrapped_timestamp
