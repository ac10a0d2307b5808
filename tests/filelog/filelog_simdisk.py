"""A disk in memory that forgets: what is not synced may be lost, torn or applied out of order when the machine crashes.

Every call is counted, so that a test can make the k-th one fail or crash there. A failed fsync behaves as on Linux: the data it was to write
is dropped from what may become durable, though it can still be read.
"""

from __future__ import annotations

import errno
import os
import random

from tableapi.connectors.filelog.storage import File, Storage


class SimCrash(BaseException):
    """The machine has stopped."""


class Inode:
    def __init__(self, number):
        self.number = number
        self.volatile = bytearray()
        self.durable = b""
        self.unsynced = []
        self.sync_failed = False


class SimFile(File):
    def __init__(self, disk, path, inode, is_lock=False):
        self.disk, self.path, self.inode, self._is_lock = disk, path, inode, is_lock

    def pread(self, size_bytes, position):
        self.disk.step("pread")
        return bytes(self.inode.volatile[position : position + size_bytes])

    def pwrite(self, buffers, position):
        data = b"".join(bytes(memoryview(b)) for b in buffers)
        try:
            self.disk.step("pwrite")
        except OSError:
            self._store(position, data[: self.disk.random.randrange(len(data) + 1)])
            raise
        except SimCrash:
            self._store(position, data[: self.disk.random.randrange(len(data) + 1)])
            raise
        self._store(position, data)
        return len(data)

    def _store(self, position, data):
        volatile = self.inode.volatile
        if position > len(volatile):
            volatile.extend(bytes(position - len(volatile)))
        volatile[position : position + len(data)] = data
        self.inode.unsynced.append(("write", position, data))

    def size(self):
        self.disk.step("size")
        return len(self.inode.volatile)

    def truncate(self, size_bytes):
        self.disk.step("truncate")
        del self.inode.volatile[size_bytes:]
        self.inode.unsynced.append(("truncate", size_bytes, b""))

    def sync(self):
        assert not self.inode.sync_failed, f"{self.path} was synced again after a failed fsync"
        try:
            self.disk.step("sync")
        except OSError:
            self.inode.sync_failed = True
            self.inode.unsynced.clear()
            raise
        self.inode.durable = bytes(self.inode.volatile)
        self.inode.unsynced.clear()

    def map(self, position, size_bytes):
        self.disk.step("map")
        return memoryview(bytes(self.inode.volatile[position : position + size_bytes]))

    def identity(self):
        return 0, self.inode.number

    def close(self):
        if self._is_lock:
            self.disk.locks.pop(self.path, None)
            self._is_lock = False


class SimDisk(Storage):
    def __init__(self, seed=0):
        self.random = random.Random(seed)
        self.names, self.durable_names = {}, {}
        self.directories, self.durable_directories = {"/"}, {"/"}
        self.name_changes = []
        self.locks = {}
        self.boot, self.clock, self.inodes = 1, 1_000_000, 0
        self.calls, self.plan = 0, None

    def step(self, what):
        self.calls += 1
        if self.plan is None:
            return
        at, action = self.plan
        if self.calls == at:
            if action == "crash":
                raise SimCrash
            raise OSError(action, os.strerror(action))
        if self.calls > at and action == "crash":
            raise SimCrash

    def fail_at(self, call, action):
        """The `call`-th call from now raises an errno, or crashes the machine."""
        self.calls, self.plan = 0, (call, action)

    def open(self, path, *, create=False, writable=False):
        self.step("open")
        if path not in self.names:
            if not create or os.path.dirname(path) not in self.directories:
                raise FileNotFoundError(errno.ENOENT, "no such file", path)
            self.inodes += 1
            self._bind(path, Inode(self.inodes))
        return SimFile(self, path, self.names[path])

    def _bind(self, path, inode):
        self.names[path] = inode
        self.name_changes.append((path, inode))

    def _unbind(self, path):
        self.names.pop(path, None)
        self.name_changes.append((path, None))

    def list(self, path):
        self.step("list")
        known = [*self.names, *self.directories]
        return sorted({os.path.basename(n) for n in known if os.path.dirname(n) == path and n != "/"})

    def exists(self, path):
        self.step("exists")
        return path in self.names or path in self.directories

    def make_directory(self, path):
        self.step("make_directory")
        while path not in self.directories:
            self.directories.add(path)
            path = os.path.dirname(path)

    def rename(self, old, new):
        self.step("rename")
        if old in self.directories:
            for name in [n for n in self.names if n.startswith(old + "/")]:
                self._bind(new + name[len(old) :], self.names[name])
                self._unbind(name)
            for name in [d for d in self.directories if d == old or d.startswith(old + "/")]:
                self.directories.discard(name)
                self.directories.add(new + name[len(old) :])
            return
        self._bind(new, self.names[old])
        self._unbind(old)

    def remove(self, path):
        self.step("remove")
        if path in self.names:
            self._unbind(path)

    def remove_directory(self, path):
        self.step("remove_directory")
        self.directories.discard(path)

    def sync_directory(self, path):
        self.step("sync_directory")
        self._persist(lambda name: os.path.dirname(name) == path)

    def _persist(self, chosen):
        left = []
        for name, inode in self.name_changes:
            if not chosen(name):
                left.append((name, inode))
            elif inode is None:
                self.durable_names.pop(name, None)
            else:
                self.durable_names[name] = inode
        self.name_changes = left

    def try_lock(self, path):
        self.step("try_lock")
        if path in self.locks:
            return None
        if path not in self.names:
            if os.path.dirname(path) not in self.directories:
                raise FileNotFoundError(errno.ENOENT, "no such directory", path)
            self.inodes += 1
            self._bind(path, Inode(self.inodes))
        self.locks[path] = True
        return SimFile(self, path, self.names[path], is_lock=True)

    def lock_holder(self, path):
        return "another process"

    def boot_id(self):
        return b"boot-%d" % self.boot

    def now_ms(self):
        self.clock += 1
        return self.clock

    def monotonic(self):
        return self.clock / 1000

    def sleep(self, seconds):
        self.clock += int(seconds * 1000) + 1

    def random_id(self):
        return self.random.getrandbits(62) | 1

    def process_dies(self):
        """The process is gone; the machine goes on."""
        self.plan = None
        self.locks.clear()

    def crash(self):
        """The machine stops and starts again: of what was not synced, anything may be there."""
        self.process_dies()
        self._persist(lambda name: self.random.random() < 0.5)
        self.names = dict(self.durable_names)
        self.name_changes = []
        self.boot += 1
        for inode in set(self.names.values()):
            inode.volatile = bytearray(inode.durable)
            self._apply_some(inode)
            inode.durable = bytes(inode.volatile)
            inode.unsynced.clear()
            inode.sync_failed = False

    def _apply_some(self, inode):
        changes = list(inode.unsynced)
        if self.random.random() < 0.3:
            self.random.shuffle(changes)
        for what, position, data in changes:
            luck = self.random.random()
            if luck < 0.35:
                continue
            if what == "truncate":
                del inode.volatile[position:]
                continue
            if luck < 0.6:
                data = data[: self.random.randrange(len(data) + 1)]
            if position > len(inode.volatile):
                inode.volatile.extend(bytes(position - len(inode.volatile)))
            inode.volatile[position : position + len(data)] = data
