# shellcheck shell=bash
# What the checks share. A check is a bash script that runs inside the guest, from the top of the
# source tree; it defines one function a scenario, then calls `scenarios NAME...`.
#
# Each scenario leaves in /share/<scenario>/ what tests/guest.rs asserts about:
#   exit, stdout, stderr       of the program
#   proof.json, results.jsonl  what it wrote, where it was asked to
#   board.toml                 the profile it was given
#   hugepages.before, .after   free hugepages of each node, "64 64", before the start and after the end
#   <moment>/                  what an observer saw of the running program: see `observe`
# While a scenario runs its files are in memory (`$at`), so that a slow share slows nothing down.

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
pinsight=${PINSIGHT:-target/release/pinsight}
# Ends of what hangs, and no more: a guest on a busy machine takes many times as long as one with time.
longest_s=3600                          # a program that runs longer is killed: exit 137
longest_wait_s=600                      # for something that takes a second on a machine with time

fail() { echo "check: $*" >&2; exit 1; }

# profile [FILE] KEY=VALUE...: the profile FILE of tests/vm/boards with values replaced, in TOML as
# they stand. A key must stand in it exactly once, so that a renamed key cannot pass unnoticed.
profile() {
    local file=$here/../boards/guest.toml change key value text
    case ${1:-} in *.toml) file=$here/../boards/$1; shift ;; esac
    text=$(sed "s|= \"\\.\\./|= \"$(dirname "$(realpath "$file")")/../|" "$file")
    for change in "$@"; do
        key=${change%%=*} value=${change#*=}
        [ "$(grep -c "^$key = " <<<"$text")" = 1 ] || fail "$(basename "$file") has not exactly one '$key'"
        text=$(awk -v key="$key" -v value="$value" '$1 == key && $2 == "=" { print key " = " value; next } { print }' <<<"$text")
    done
    printf '%s\n' "$text" >"$at/board.toml"
}

# cameras N [vivid option...]: have N cameras, fresh, of the given kind.
cameras() { command cameras "$@" || fail "cameras $*"; }

# controls NAME=VALUE,...: set controls of the first camera.
controls() { v4l2-ctl -d "${camera:-/dev/video0}" -c "$1" || fail "controls $1"; }

# reserve NODE PAGES: the hugepages that a node has, free and in use.
reserve() { echo "$2" >"/sys/devices/system/node/node$1/hugepages/hugepages-2048kB/nr_hugepages"; }

hugepages_free() { local n; for n in /sys/devices/system/node/node*/hugepages/hugepages-2048kB/free_hugepages; do printf '%s ' "$(<"$n")"; done; }

# start ARGUMENT...: start the program; `$pid` is its process.
start() {
    hugepages_free >"$at/hugepages.before"
    "$pinsight" "$@" >"$at/stdout" 2>"$at/stderr" </dev/null &
    pid=$!
    (sleep "$longest_s" && kill -KILL "$pid") 2>/dev/null & killer=$!
}

# run_board ARGUMENT...: start `pinsight run` with the scenario's profile, or $board, with proof and results.
run_board() { start run --board "${board:-$at/board.toml}" --proof "$at/proof.json" --results "$at/results.jsonl" "$@"; }

running() { kill -0 "$pid" 2>/dev/null; }

# wait_for WHAT CONDITION...: wait until the condition, a command, holds; false, with what was waited for in the
# log, when the program ended before, or it takes too long.
wait_for() {
    local what=$1 until=$((SECONDS + longest_wait_s)); shift
    while ! "$@"; do
        if ! running; then
            # It may have come to hold just before the end.
            "$@" && return
            echo "guest: $(basename "$at"): the program ended before $what" >&2; return 1
        fi
        [ $SECONDS -lt $until ] || { echo "guest: $(basename "$at"): waited $longest_wait_s s, in vain: $what" >&2; return 1; }
        sleep 0.1
    done
}

# ready: wait until the program has said that it is.
ready() { wait_for 'ready' grep -q 'ready after [0-9]* ms' "$at/stderr"; }

# results: how many results the running board has written.
results() { local lines=(); [ ! -f "$at/results.jsonl" ] || mapfile -t lines <"$at/results.jsonl"; echo ${#lines[@]}; }

has_results() { [ "$(results)" -ge "$1" ]; }

# wait_results N: wait until there are so many.
wait_results() { wait_for "$1 results" has_results "$1"; }

# of_camera NAME: the same, of one camera.
of_camera() { grep -c "\"camera\":\"$1\"" "$at/results.jsonl"; }
has_results_of() { [ "$(of_camera "$1")" -ge "$2" ]; }

# wait_results_of NAME N: wait until there are so many of it.
wait_results_of() { wait_for "$2 results of $1" has_results_of "$1" "$2"; }

has_said() { [ "$(grep -c "$1" "$at/stderr")" -ge "$2" ]; }

# said WORDS [N]: wait until the program has said so (N times).
said() { wait_for "'$1' ${2:-1} times" has_said "$1" "${2:-1}"; }

# lets_go PATH: wait until the program has the file open no more.
has_let_go() { ! ls -l /proc/"$pid"/fd | grep -q -- "-> $1"; }
lets_go() { wait_for "an end of its hold of $1" has_let_go "$1"; }

# observe MOMENT: note what the kernel says of the running program, for those who do not take its
# word: where its memory lies, and of each thread: name, cores, policy, faults, switches, migrations.
observe() {
    local task file into=$at/$1
    mkdir "$into"
    running || return 0
    # No process is started for each file: an emulated one takes a tenth of a second.
    for file in numa_maps status; do printf '%s\n' "$(</proc/"$pid"/$file)" >"$into/$file"; done
    ls -l /proc/"$pid"/fd >"$into/fds"
    for task in /proc/"$pid"/task/*; do
        for file in status stat sched; do printf '%s\n' "$(<"$task/$file")" >"$into/${task##*/}.$file"; done
    done 2>/dev/null
}

# finish: wait for the program's end, and keep its exit status.
finish() {
    wait "$pid"; echo $? >"$at/exit"
    kill "$killer" 2>/dev/null; wait "$killer" 2>/dev/null
    hugepages_free >"$at/hugepages.after"
}

# scenarios NAME...: run those named on the command line, or all of NAME...
scenarios() {
    local name incomplete=0 wanted=("$@")
    [ ${#asked[@]} = 0 ] || wanted=("${asked[@]}")
    [ -x "$pinsight" ] || fail "$pinsight is not there"
    for name in "${wanted[@]}"; do
        [[ " $* " == *" $name "* ]] || fail "no scenario $name; there are: $*"
        at=/run/checks/$name
        rm -rf "$at" "/share/$name"; mkdir -p "$at"
        local began=${EPOCHREALTIME/./} tenths
        # In a shell of its own: one that cannot be carried out does not stop the others.
        if ! ("$name"); then
            echo "guest: $name could not be carried out" >&2
            incomplete=1
            continue
        fi
        cp -r "$at" "/share/$name"
        tenths=$(((${EPOCHREALTIME/./} - began) / 100000))
        printf 'guest: %-30s exit %-4s %3d.%d s\n' "$name" "$(cat "$at/exit")" $((tenths / 10)) $((tenths % 10))
        rm -rf "$at"
    done
    return $incomplete
}

asked=("$@")
