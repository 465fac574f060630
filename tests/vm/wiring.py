"""What is wired to the guest's outputs: a GPIO chip, a slow serial line, and a cable between two more.

The chip is a page of memory that the kernel is told to leave alone, and an ACPI table that calls the page
AMD's Promontory GPIO: Debian's kernel has that driver, and it wants nothing but registers that keep what
is written to them.
"""

import pathlib
import socket
import time

# Within the first 512 MiB, so that every guest has it.
_REGISTERS = 0x1000_0000
_REGISTERS_BYTES = 0x1000

BYTES_A_SECOND = 120


def _package(content: bytes) -> bytes:
    """Content behind its PkgLength, which counts itself.

    Source: ACPI 6.5, 20.2.4. The two-byte form holds lengths up to 4095.
    """
    length = len(content) + 2
    return bytes([0x40 | length & 0xF, length >> 4]) + content


def gpio_table() -> bytes:
    """The body of an ACPI table: `Scope (\\_SB) { Device (PTGP) { Name (_HID, …) Name (_CRS, …) } }`.

    Source: ACPI 6.5, 20.2 (AML) and 6.4.3.4 (32-bit fixed memory range); drivers/gpio/gpio-amdpt.c.
    """
    memory = b"\x86\x09\x00\x01" + _REGISTERS.to_bytes(4, "little") + _REGISTERS_BYTES.to_bytes(4, "little")
    resources = memory + b"\x79\x00"
    buffer = b"\x11" + _package(b"\x0a" + bytes([len(resources)]) + resources)
    names = b"\x08_HID\x0dAMDIF031\0" + b"\x08_CRS" + buffer
    device = b"\x5b\x82" + _package(b"PTGP" + names)
    return b"\x10" + _package(b"\\_SB_" + device)


def kernel_arguments() -> str:
    return f"memmap={_REGISTERS_BYTES}${_REGISTERS:#x}"


def qemu_arguments(control: pathlib.Path, path, slow_line) -> list[str]:
    """The chip; the slow line; the cable. `path` writes a path between QEMU's own words."""
    table = control / "gpio.aml"
    table.write_bytes(gpio_table())
    cable = path(control / "cable.socket")
    return [
        *("-acpitable", f"sig=SSDT,rev=2,data={path(table)}"),
        *("-chardev", f"socket,id=slow,fd={slow_line.qemu_end.fileno()}", "-serial", "chardev:slow"),
        *("-chardev", f"socket,id=one,path={cable},server=on,wait=off", "-serial", "chardev:one"),
        *("-chardev", f"socket,id=other,path={cable}", "-serial", "chardev:other"),
    ]


class SlowLine:
    """The far end of the slow line. What arrives goes to a file, at 120 bytes a second, as at 1200 baud.

    QEMU's own UART knows no speed: it sends what the other end takes. Its end of the line is made as small as
    it can be, some bytes, so that all others wait in the guest.
    """

    def __init__(self, control: pathlib.Path):
        self.line, self.qemu_end = socket.socketpair()
        self.qemu_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.line.setblocking(False)
        self.file = (control / "line").open("wb", buffering=0)
        self.last = time.monotonic()

    def pump(self) -> None:
        """Takes what has come since the last time."""
        now = time.monotonic()
        take = min(int((now - self.last) * BYTES_A_SECOND), BYTES_A_SECOND)
        if take:
            self.last = now
            self._take(take)

    def end(self) -> None:
        """Takes the rest, once QEMU has ended."""
        self._take(1 << 20)

    def _take(self, most: int) -> None:
        # Each message is one byte.
        for _ in range(most):
            try:
                byte = self.line.recv(1)
            except BlockingIOError:
                return
            if not byte:
                return
            self.file.write(byte)
