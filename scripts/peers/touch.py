"""The cost of merely touching every byte of a file: memchr of the C library, for a byte that no UTF-8 text has.

    python3 peers/touch.py FILE

The file is mapped in windows of 4 MiB, as ipcpipe does, because that is the fastest way to read one. It prints the bytes
and the CPU and wall seconds of that alone: the start of Python is not what is measured.
"""
import ctypes
import mmap
import os
import sys
import time

WINDOW = 4 << 20
ABSENT = 0xFF
FAILED = ctypes.c_void_p(-1).value

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.memchr.restype = ctypes.c_void_p
libc.memchr.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


def touch(descriptor, size):
    """How many bytes were looked at."""
    touched = 0
    for offset in range(0, size, WINDOW):
        length = min(WINDOW, size - offset)
        address = libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, offset)
        if address == FAILED:
            raise OSError(ctypes.get_errno(), "mmap")
        if libc.memchr(address, ABSENT, length) is None:
            touched += length
        libc.munmap(address, length)
    return touched


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        file_size = os.fstat(file.fileno()).st_size
        cpu, wall = time.process_time(), time.monotonic()
        done = touch(file.fileno(), file_size)
        print(done, time.process_time() - cpu, time.monotonic() - wall)
