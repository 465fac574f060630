#!/usr/bin/env python3
"""Make a bootable kernel and an initramfs from kernel packages, with Python and dpkg-deb only.

No kmod, cpio, or initramfs-tools is needed, and nothing is read from the running system: the
modules asked for, and those they depend on, are taken from the packages.

Output, in --out:
  kernel   the bare ELF vmlinux (QEMU boots it directly, which spares the slow in-guest unpacking)
  initrd   gzip'd cpio: /init, /bin/busybox, and the modules with their modules.dep
  config   the kernel's configuration, for reading
  modules  one line a module: its name, and "built in" or the path it was packed under
"""

import argparse
import gzip
import lzma
import pathlib
import re
import struct
import subprocess
import sys
import tarfile
import zlib

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MODULE_FILE = re.compile(r"lib/modules/([^/]+)/(.*/([^/]+)\.ko)(?:\.(?:xz|zst|gz))?$")


def unpack(packed: bytes) -> bytes:
    """Decompress by magic number. What is not compressed comes back as it is."""
    if packed[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(packed)
    if packed[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(packed)
    if packed[:4] == ZSTD_MAGIC:
        # Python has no zstd of its own before 3.14. `-q -d` copes with the bytes that follow.
        return subprocess.run(["zstd", "-q", "-d", "-c"], input=packed, stdout=subprocess.PIPE, check=True).stdout
    return packed


def vmlinux(bzimage: bytes) -> bytes:
    """The ELF kernel inside a bzImage.

    Source: the Linux/x86 boot protocol, fields setup_sects (0x1f1), header (0x202),
    payload_offset (0x248) and payload_length (0x24c).
    """
    if bzimage[0x202:0x206] != b"HdrS":
        raise SystemExit("the kernel is not a bzImage")
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start : start + length]
    if payload[:4] == ZSTD_MAGIC:
        payload = payload[:-4]  # the kernel's build appends the unpacked size
    elf = unpack(payload)
    if elf[:4] != b"\x7fELF":
        raise SystemExit("the kernel's payload is not an ELF file (a compression this script does not know)")
    return elf


class Kernel:
    """What the kernel packages hold."""

    def __init__(self, packages: list[str]):
        self.release = ""
        self.image = b""
        self.config = b""
        self.builtin: set[str] = set()
        self.builtin_lists: dict[str, bytes] = {}
        self.packed: dict[str, tuple[str, bytes]] = {}  # name -> (path below the release, packed bytes)
        for package in packages:
            self._read(package)
        if not self.image:
            raise SystemExit("no kernel image in " + " ".join(packages))

    def _read(self, package: str) -> None:
        dpkg = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        with tarfile.open(fileobj=dpkg.stdout, mode="r|") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                path = member.name.removeprefix("./")
                name = path.rsplit("/", 1)[-1]
                if module := MODULE_FILE.search(path):
                    self.packed[module[3].replace("-", "_")] = (module[2], archive.extractfile(member).read())
                elif path.startswith("boot/vmlinuz-"):
                    self.release = name.removeprefix("vmlinuz-")
                    self.image = vmlinux(archive.extractfile(member).read())
                elif path.startswith("boot/config-"):
                    self.config = archive.extractfile(member).read()
                elif name in ("modules.builtin", "modules.order"):
                    self.builtin_lists[name] = archive.extractfile(member).read()
        if dpkg.wait() != 0:
            raise SystemExit(f"{package} cannot be read")
        listed = self.builtin_lists.get("modules.builtin", b"").decode().split()
        self.builtin = {path.rsplit("/", 1)[-1].removesuffix(".ko").replace("-", "_") for path in listed}


class Modules:
    """A set of modules that is closed under "depends on"."""

    def __init__(self, kernel: Kernel, wanted: list[str]):
        self.kernel = kernel
        self.objects: dict[str, bytes] = {}
        self.needs: dict[str, list[str]] = {}
        self.report: list[str] = []
        for name in wanted:
            self._add(name)

    def _add(self, name: str) -> None:
        name = name.replace("-", "_")
        if name in self.needs:
            return
        self.needs[name] = []
        if name not in self.kernel.packed:
            if name not in self.kernel.builtin:
                raise SystemExit(f"kernel {self.kernel.release} has no module {name}")
            self.report.append(f"{name} built in")
            return
        path, packed = self.kernel.packed[name]
        module = unpack(packed)
        self.objects[name] = module
        self.report.append(f"{name} {path}")
        # The .modinfo section holds NUL-terminated "key=value" strings.
        depends = re.search(rb"\0depends=([^\0]*)\0", module)
        if depends and depends[1]:
            self.needs[name] = [needed.replace("-", "_") for needed in depends[1].decode().split(",")]
        for needed in self.needs[name]:
            self._add(needed)

    def _order(self, name: str, seen: list[str]) -> list[str]:
        """What must be loaded before `name`, first to last."""
        for needed in self.needs[name]:
            if needed not in seen and needed in self.objects:
                self._order(needed, seen)
                seen.append(needed)
        return seen

    def dep_file(self) -> bytes:
        """modules.dep: each module, then what it needs, last to be loaded first."""
        path = lambda name: self.kernel.packed[name][0]
        lines = (f"{path(name)}: " + " ".join(map(path, reversed(self._order(name, [])))) for name in self.objects)
        return ("\n".join(lines) + "\n").encode()


class Cpio:
    """A writer of the "newc" cpio format, which the kernel unpacks as its first root.

    Source: Documentation/driver-api/early-userspace/buffer-format.rst
    """

    def __init__(self):
        self.data = bytearray()
        self.count = 0
        self.folders: set[str] = set()

    def _entry(self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self.count += 1
        path = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        self.data += b"\0" * (-len(self.data) % 4)
        self.data += content
        self.data += b"\0" * (-len(self.data) % 4)

    def folder(self, name: str) -> None:
        if name and name not in self.folders:
            self.folder(name.rpartition("/")[0])
            self.folders.add(name)
            self._entry(name, 0o040755)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self.folder(name.rpartition("/")[0])
        self._entry(name, 0o100000 | mode, content)

    def character_device(self, name: str, major: int, minor: int) -> None:
        self.folder(name.rpartition("/")[0])
        self._entry(name, 0o020600, device=(major, minor))

    def finish(self) -> bytes:
        self._entry("TRAILER!!!", 0)
        return bytes(self.data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--init", type=pathlib.Path, required=True, help="the script that becomes /init")
    parser.add_argument("--busybox", type=pathlib.Path, required=True, help="folder with an unpacked busybox-static")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--modules", nargs="+", required=True)
    parser.add_argument("packages", nargs="+", help="kernel packages")
    asked = parser.parse_args()

    kernel = Kernel(asked.packages)
    modules = Modules(kernel, asked.modules)
    busybox = next((p for p in (asked.busybox / "bin/busybox", asked.busybox / "usr/bin/busybox") if p.is_file()), None)
    if busybox is None:
        sys.exit(f"no busybox below {asked.busybox}")

    root = Cpio()
    for folder in ("bin", "dev", "proc", "sys"):
        root.folder(folder)
    root.character_device("dev/console", 5, 1)
    root.file("init", asked.init.read_bytes(), 0o755)
    root.file("bin/busybox", busybox.read_bytes(), 0o755)
    base = f"lib/modules/{kernel.release}/"
    for name, module in modules.objects.items():
        root.file(base + kernel.packed[name][0], module)
    root.file(base + "modules.dep", modules.dep_file())
    for name, content in kernel.builtin_lists.items():
        root.file(base + name, content)

    (asked.out / "kernel").write_bytes(kernel.image)
    (asked.out / "config").write_bytes(kernel.config)
    (asked.out / "modules").write_text("\n".join(modules.report) + "\n")
    (asked.out / "initrd").write_bytes(gzip.compress(root.finish(), 1))


if __name__ == "__main__":
    main()
