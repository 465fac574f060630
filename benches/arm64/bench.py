#!/usr/bin/env python3
"""Instructions of one tensor on 64-bit ARM, ours beside the peers', without such a machine.

usage: bench.py --ours PROGRAM --peers PROGRAM --plugin FILE --emulator PROGRAM [--json FILE] [--readme FILE]

PROGRAMs are tensor.rs and benches/preprocess-peers, built for 64-bit ARM; FILE is count.c as a plugin of
qemu-user. Each program makes a tensor twice and four times: half the difference is one tensor, without the
program's start. llvm-mca then says what the blocks that make up the tensor would take on a core, if nothing waited
for memory and no branch was mispredicted.
"""
import argparse
import json
import os
import re
import subprocess
import tempfile

FORMATS, SIDES, TENSORS = ("NV12", "YUYV", "RG10"), (300, 640), ("float32", "int8")
CORES = ("cortex-a53", "cortex-a72", "cortex-a76", "cortex-a78")
# Blocks that execute less than this part of the instructions are taken to cost as the others on average.
LEAST = 0.002
ROUNDS = 100
BEGIN, END = "<!-- arm64: written by make bench-arm64, not by hand -->", "<!-- end of arm64 -->"


class Emulator:
    """Runs a program with the plugin, and gives what it said and its blocks."""

    def __init__(self, command, plugin):
        self.command, self.plugin = command, plugin

    def blocks(self, program, arguments):
        """{address: (executions, code)} of one run; `None` where the program has no such kernel."""
        with tempfile.NamedTemporaryFile("r") as out:
            command = [*self.command, "-plugin", f"{self.plugin},out={out.name}", program, *map(str, arguments)]
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if run.returncode == 3:
                return None, ""
            if run.returncode != 0:
                raise SystemExit(f"bench: {' '.join(command)} ended with {run.returncode}")
            blocks = {}
            for line in out:
                address, executions, code = line.split()
                before = blocks.get(int(address, 16), (0, ""))[0]
                blocks[int(address, 16)] = (before + int(executions), code)
            return blocks, run.stdout.strip()

    def tensor(self, program, *arguments):
        """{address: (executions, code)} of one tensor, and what the program said."""
        two, _ = self.blocks(program, [*arguments, 2])
        if two is None:
            return None, ""
        four, said = self.blocks(program, [*arguments, 4])
        one = {}
        for address, (executions, code) in four.items():
            executions -= two.get(address, (0, ""))[0]
            if executions > 1:
                one[address] = (executions / 2, code)
        return one, said


def instructions(blocks):
    return sum(executions * len(code) // 8 for executions, code in blocks.values())


def is_branch(code):
    """Whether the last instruction of a block is one (Arm ARM, C4.1.87)."""
    word = int.from_bytes(bytes.fromhex(code[-8:]), "little")
    return word >> 26 & 0x1f == 0b00101 or word >> 25 in (0b0101010, 0b1101011) or word >> 26 & 0x1f == 0b01101


def joined(blocks):
    """[(executions, code)], with the blocks that end without a branch, because emulation cuts them at its pages, as
    one with what follows."""
    left = dict(blocks)
    out = []
    for address in sorted(blocks):
        executions, code = left.pop(address, (0, ""))
        following = address + len(code) // 2
        while code and not is_branch(code) and left.get(following, (0, ""))[0] >= executions:
            count, tail = left[following]
            left[following] = (count - executions, tail)
            code += tail
            following += len(tail) // 2
        if executions:
            out.append((executions, code))
    return out


def assembly(code):
    """The text of an assembler for the bytes of instructions."""
    octets = " ".join(f"0x{code[at:at + 2]}" for at in range(0, len(code), 2))
    command = ["llvm-mc", "--disassemble", "-triple=aarch64", "-mattr=+v8.2a,+fullfp16,+dotprod"]
    run = subprocess.run(command, input=octets, text=True, stdout=subprocess.PIPE, check=True)
    return "\n".join(line for line in run.stdout.splitlines() if line.startswith("\t") and not line.startswith("\t."))


def cycles(text, core):
    """Of one pass of a block that is repeated."""
    command = ["llvm-mca", "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={ROUNDS}", "-instruction-info=0",
               "-resource-pressure=0"]
    run = subprocess.run(command, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", run.stdout).group(1)) / ROUNDS


def cycles_of(blocks):
    """Cycles of one tensor by core, and the part of the instructions that were looked at."""
    whole = instructions(blocks)
    hot = [(executions, code) for executions, code in joined(blocks)
           if executions * len(code) / 8 >= LEAST * whole]
    seen = sum(executions * len(code) / 8 for executions, code in hot)
    texts = [(executions, assembly(code)) for executions, code in hot]
    return {core: sum(executions * cycles(text, core) for executions, text in texts) * whole / seen
            for core in CORES}, seen / whole


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ours", required=True)
    arguments.add_argument("--peers", required=True)
    arguments.add_argument("--plugin", required=True)
    arguments.add_argument("--emulator", required=True, help="with its own arguments")
    arguments.add_argument("--json")
    arguments.add_argument("--readme")
    arguments.add_argument("--only", default="", help="cases whose words these are")
    arguments = arguments.parse_args()
    emulator = Emulator(arguments.emulator.split(), os.path.abspath(arguments.plugin))
    rows = []
    for tensor in TENSORS:
        for form in FORMATS:
            for side in SIDES:
                if not set(arguments.only.split()) <= {tensor, form, str(side)}:
                    continue
                row = case(emulator, arguments, form, side, tensor)
                rows.append(row)
                print(line_of(row), flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as out:
            json.dump({"bench": "arm64", "rows": rows}, out, indent=1)
    if arguments.readme:
        write(arguments.readme, rows)


def case(emulator, arguments, form, side, tensor):
    ours, kernel = emulator.tensor(arguments.ours, form, side, tensor, "fastest")
    row = {"format": form, "side_px": side, "tensor": tensor, "kernel": kernel, "instructions": instructions(ours)}
    for name in ("neon", "portable"):
        blocks, _ = emulator.tensor(arguments.ours, form, side, tensor, name)
        row[name] = instructions(blocks)
    blocks, _ = emulator.tensor(arguments.peers, form, side, tensor)
    row["peers"] = instructions(blocks)
    by_core, seen = cycles_of(ours)
    row["cycles_a_pixel"] = {core: round(count / side ** 2, 2) for core, count in by_core.items()}
    row["seen"] = round(seen, 4)
    return row


COLUMNS = ("1080p to tensor", "kernel", "ours", "a pixel", "neon", "portable", "peers", "ours / peers",
           *(f"{core[7:].upper()} cycles a pixel" for core in CORES))


def line_of(row):
    millions = [f"{row[key] / 1e6:.2f}" for key in ("neon", "portable", "peers")]
    cells = [f"{row['format']} to {row['side_px']} x {row['side_px']} {row['tensor']}", row["kernel"],
             f"{row['instructions'] / 1e6:.2f}", f"{row['instructions'] / row['side_px'] ** 2:.1f}", *millions,
             f"{row['instructions'] / row['peers']:.2f}", *(f"{row['cycles_a_pixel'][core]:.1f}" for core in CORES)]
    return "| " + " | ".join(cells) + " |"


def write(readme, rows):
    with open(readme, encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN)
        after = rest.split(END)[1]
    version = subprocess.run(["llvm-mca", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    version = re.search(r"LLVM version [\d.]+", version).group(0)
    table = ["| " + " | ".join(COLUMNS) + " |", "|---|---|" + "---:|" * (len(COLUMNS) - 2), *map(line_of, rows)]
    text = "\n".join([BEGIN, "", f"Millions of instructions; {version}.", "", *table, "", END])
    with open(readme, "w", encoding="utf-8") as file:
        file.write(before + text + after)


if __name__ == "__main__":
    main()
