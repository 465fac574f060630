#!/bin/bash
# Outputs on real kernel objects: a GPIO chip and serial lines, as tests/vm/wiring.py wires them. The rules
# look for a cat, which the model takes vivid's squares for; in its colour bars there is none.
# shellcheck source=tests/vm/checks/lib.sh
source "$(dirname "$0")/lib.sh"

tracing=/sys/kernel/debug/tracing
driver=/sys/bus/platform/drivers/pt-gpio
line=17

cat_comes() { controls test_pattern=10; }
cat_goes()  { controls test_pattern=1; }

# board N OUTPUT...: the guest's board with N rules that say the same, and outputs in TOML.
#
# A guest that gets little time judges few frames a second: a cat is gone when it was not seen for longer.
board() {
    local count=$1 i output; shift
    cameras 1; controls timestamp_source=1,osd_text_mode=2; cat_goes
    profile
    {
        printf '\n[tracker]\nlost-after-ms = 6000\nhigh-score = 0.0\n'
        for ((i = 0; i < count; i++)); do printf '\n[[rule]]\nname = "cat%d"\nkind = "presence"\nclasses = ["cat"]\n' "$i"; done
        for output in "$@"; do printf '\n[[output]]\n%s\n' "$output"; done
    } >>"$at/board.toml"
}

# lamp LINE KEY...: a GPIO output.
lamp() { printf '%s\n' 'name = "lamp"' 'kind = "gpio"' 'device = "/dev/gpiochip0"' "gpio-line = $1" "${@:2}"; }
# radio DEVICE KEY...: a serial output.
radio() { printf '%s\n' 'name = "radio"' 'kind = "serial"' "device = \"$1\"" "${@:2}"; }

# The first line's number to the kernel, which counts all chips' lines.
base() { cat /sys/class/gpio/gpiochip*/base; }

# watch_line: from now on the kernel notes each level that a line is set to.
watch_line() { echo 1 >$tracing/events/gpio/gpio_value/enable; echo >$tracing/trace; }

# levels: those of the line, first to last.
levels() { sed -n "s/.*gpio_value: $(($(base) + line)) set \([01]\)$/\1/p" $tracing/trace; }

is_last_level() { [ "$(levels | tail -n 1)" = "$1" ]; }
has_levels() { [ "$(levels | wc -l)" -ge "$1" ]; }

# wait_level LEVEL: until the line was last set to it.
wait_level() { wait_for "level $1" is_last_level "$1"; }

# wait_levels N: until it was set so often.
wait_levels() { wait_for "$1 levels" has_levels "$1"; }

# Files that the program has open.
open_files() { local files=(/proc/"$pid"/fd/*); echo ${#files[@]}; }
has_open_files() { [ "$(open_files)" = "$1" ]; }

# level: what is at the line now that nobody holds it, by another way of the kernel's.
level() {
    local number=$(($(base) + line))
    echo $number >/sys/class/gpio/export
    cat /sys/class/gpio/gpio$number/value
    echo $number >/sys/class/gpio/unexport
}

# end_by SIGNAL: end the program; leave the levels that the line had (`levels`), and has now (`level`).
end_by() { kill "-$1" "$pid"; finish; levels >"$at/levels"; level >"$at/level"; }

gpio_pulse() {
    board 1 "$(lamp $line 'pulse-ms = 300')"
    watch_line; run_board
    ready && cat_comes && wait_levels 3 && cat_goes && said 'event cat0' 2 && cat_comes && wait_levels 5
    end_by TERM
}

# On is low. The state still holds when the run ends.
gpio_level() {
    board 1 "$(lamp $line 'mode = "level"' 'active-low = true')"
    watch_line; run_board
    ready && cat_comes && wait_level 0 && cat_goes && wait_level 1 && cat_comes && wait_level 0
    end_by TERM
}

# Killed while the line is on, and started again.
gpio_killed() {
    board 1 "$(lamp $line 'mode = "level"')"
    watch_line; run_board
    ready && cat_comes && wait_level 1
    end_by KILL
    mv "$at/levels" "$at/levels.killed"; mv "$at/level" "$at/level.killed"
    cat_goes
    watch_line; run_board
    ready
    end_by TERM
}

# Held by another program: neither check nor run take it from there.
gpio_held() {
    local number=$(($(base) + line))
    board 1 "$(lamp $line)"
    echo $number >/sys/class/gpio/export
    "$pinsight" check --board "$at/board.toml" >"$at/check" 2>&1; echo $? >"$at/check.exit"
    "$pinsight" probe >"$at/probe" 2>&1
    run_board --frames 5
    finish
    echo $number >/sys/class/gpio/unexport
}

gpio_no_such_line() {
    board 1 "$(lamp 24)"
    run_board --frames 5
    finish
}

# The chip is not there at first, comes, goes while the line is on, and comes back.
gpio_unplugged() {
    local chip=AMDIF031:00 files
    board 1 "$(lamp $line 'mode = "level"')"
    echo $chip >$driver/unbind
    watch_line; run_board
    if ready; then
        said 'output lamp: .*: ENOENT' && echo $chip >$driver/bind && said 'output lamp: .*: it is back' &&
            cat_comes && wait_level 1 && files=$(open_files) && observe before &&
            echo $chip >$driver/unbind && said 'output lamp: .*: ENODEV' && cat_goes && said 'event cat0' 2 &&
            cat_comes && said 'event cat0' 3 &&
            echo >$tracing/trace && echo $chip >$driver/bind && said 'output lamp: .*: it is back' 2 &&
            wait_level 1 && wait_for "as many open files as before, $files" has_open_files "$files"
        observe after
    fi
    [ -e /dev/gpiochip0 ] || echo $chip >$driver/bind
    end_by TERM
}

# Lines that still wait for a line of 1200 baud when the run ends.
serial_slow() {
    board 4 "$(radio /dev/ttyS1 'rate-baud = 1200')"
    run_board
    ready && cat_comes && said 'event cat' 4
    kill -TERM "$pid"
    finish
}

# Nobody reads: what the driver and the queue hold, and then no more.
serial_stuck() {
    local i
    board 24 "$(radio /dev/ttyS2 'queue-events = 4')"
    # Settings stay; each opening drops what the UART holds, so that the reader opens the line once.
    stty -F /dev/ttyS3 raw -echo
    run_board
    if ready; then
        for i in 1 2 3; do
            cat_comes && said 'event cat23' $((2 * i - 1)) && cat_goes && said 'event cat23' $((2 * i)) || break
        done
        if [ "${1:-}" = read ]; then
            listen
            wait_for '60 lines' has_received 60
        fi
        kill -TERM "$pid"
    fi
    finish
    [ -z "${reader:-}" ] || all_received
}

# listen: from here on what comes to the cable's other end is received.
listen() {
    cat /dev/ttyS3 >"$at/received" & reader=$!
    until ls -l /proc/$reader/fd | grep -q ttyS3; do kill -0 $reader || return; sleep 0.1; done
}

has_received() { [ "$(wc -l <"$at/received")" -ge "$1" ]; }

# all_received: until all that the program sent before its end has arrived, which a last line of ours follows.
all_received() {
    local last='this is the last line' until=$((SECONDS + longest_wait_s))
    printf '%s\n' "$last" >/dev/ttyS2
    until grep -q "$last" "$at/received"; do
        [ $SECONDS -lt $until ] || { echo "guest: $(basename "$at"): waited $longest_wait_s s, in vain: $last" >&2; break; }
        sleep 0.1
    done
    kill $reader; wait $reader 2>/dev/null
    sed -i "s/$last\r*//;/^\$/d" "$at/received"
}

# Nobody reads for a while, and then somebody does.
serial_held_up() { serial_stuck read; }

# By hand, with somebody at the mast.
output_command() {
    board 1 "$(lamp $line 'pulse-ms = 200')" "$(radio /dev/ttyS2)"
    watch_line
    stty -F /dev/ttyS3 raw -echo
    listen
    "$pinsight" check --board "$at/board.toml" >"$at/check" 2>&1; echo $? >"$at/check.exit"
    "$pinsight" probe >"$at/probe" 2>&1
    "$pinsight" output --board "$at/board.toml" radio >"$at/radio" 2>&1; echo $? >"$at/radio.exit"
    start output --board "$at/board.toml" lamp
    finish
    all_received
    levels >"$at/levels"; level >"$at/level"
}

modprobe gpio-amdpt || fail "no GPIO chip"

scenarios gpio_pulse gpio_level gpio_killed gpio_held gpio_no_such_line gpio_unplugged serial_slow \
    serial_stuck serial_held_up output_command
