"""A machine with a real systemd: a new set of namespaces over a copy-on-write view of this one.

systemd is process 1 of its own pid namespace; root is an overlay whose changes are in memory; /run, /tmp,
/dev, the network and the control groups are its own. All its processes are in one control group here, which is
killed and removed at the end, whatever happened. Needs root and unified control groups (version 2).
"""
import atexit
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE_S = 60  # a deadline only matters when a test fails

# Makes the new root, then becomes systemd. $1: a directory to mount things on, $2: files to lay over /.
INNER = r"""
set -eu
store=$1 files=$2 root=$1/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$store"
mkdir "$store/upper" "$store/work" "$root"
cp -a "$files/." "$store/upper/"
mount -t overlay overlay -o "lowerdir=/,upperdir=$store/upper,workdir=$store/work" "$root"
mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys" && mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
hostname corod-test
cd "$root"
mkdir -p mnt
pivot_root . mnt
umount -l mnt
exec env -i container=corod-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "$(command -v /lib/systemd/systemd || echo /usr/lib/systemd/systemd)" --unit=corod-test.target
"""
# What is booted: the basic system, the bus and logins; nothing else of what this machine runs.
TARGET = """[Unit]
Requires=basic.target
Wants=dbus.service systemd-logind.service
After=basic.target dbus.service systemd-logind.service
AllowIsolate=yes
"""
# These would reach out of the namespaces or take their time.
MASKED = ["systemd-modules-load.service", "systemd-sysctl.service", "systemd-udevd.service",
          "systemd-udev-trigger.service", "systemd-udevd-control.socket",
          "systemd-udevd-kernel.socket", "systemd-timesyncd.service", "systemd-random-seed.service",
          "systemd-hwdb-update.service", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount",
          "dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
          "sys-fs-fuse-connections.mount", "systemd-journal-flush.service", "apparmor.service",
          "systemd-remount-fs.service", "timers.target", "networking.service", "ssh.service"]
FLAGS = ["--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child"]
# Its address, which is no loopback address (RFC 5737: for documentation).
ADDRESS = "192.0.2.1"


class Impossible(Exception):
    """Why such a machine can't be made here."""


def cgroup_mount():
    with open("/proc/self/mounts") as f:
        for line in f:
            _, place, kind, options = line.split()[:4]
            if kind == "cgroup2" and "rw" in options.split(","):
                return place
    raise Impossible("no writable cgroup2 file system is mounted")


def probe():
    if os.getuid():
        raise Impossible("not root")
    for tool in ("unshare", "nsenter", "systemctl", "pivot_root"):
        if not shutil.which(tool):
            raise Impossible("no " + tool)
    if not os.path.exists("/lib/systemd/systemd"):
        raise Impossible("no systemd")
    cgroup_mount()
    p = subprocess.run(["unshare", *FLAGS, "mount", "--make-rprivate", "/"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode:
        raise Impossible("unshare: " + p.stdout.decode().strip())


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Machine:
    def __init__(self):
        probe()
        self.init = None
        self.unshare = None
        self.scratch = tempfile.mkdtemp(prefix="corod-machine-")
        self.files = os.path.join(self.scratch, "files")
        os.makedirs(os.path.join(self.scratch, "store"))
        self.group = os.path.join(cgroup_mount(), "corod-test-%d" % os.getpid())
        os.mkdir(self.group)
        atexit.register(self.stop)
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sig, lambda *_: sys.exit(1))
        self.write("/etc/systemd/system/corod-test.target", TARGET)
        for unit in MASKED:
            self.link("/dev/null", "/etc/systemd/system/" + unit)

    def write(self, path, text):
        """A file of the machine, before it starts."""
        place = self.files + path
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w") as f:
            f.write(text)

    def link(self, target, path):
        place = self.files + path
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.symlink(target, place)

    def start(self):
        def enter():
            die_with_parent()
            with open(os.path.join(self.group, "cgroup.procs"), "w") as f:
                f.write("0")

        self.log = open(os.path.join(self.scratch, "log"), "w+")
        self.unshare = subprocess.Popen(
            ["unshare", *FLAGS, "sh", "-c", INNER, "sh", os.path.join(self.scratch, "store"),
             self.files], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=enter)
        self.until(self.find_init, "process 1")
        self.until(lambda: self.run("systemctl", "is-active", "corod-test.target", check=False)
                   .stdout.strip() == "active", "the target")

    def find_init(self):
        if self.unshare.poll() is not None:
            self.log.seek(0)
            raise RuntimeError("the machine ended: " + self.log.read())
        pid = self.unshare.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = f.read().split()
        if children:
            with open("/proc/%s/comm" % children[0]) as f:
                if f.read().strip() == "systemd":
                    self.init = int(children[0])
        return self.init is not None

    def in_network(self, make):
        """make()'s result, called in a thread that is in the machine's network; so are the sockets and the
        threads that it makes."""
        results = []

        def enter():
            with open("/proc/%d/ns/net" % self.init, "rb") as f:
                if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), 0x40000000):  # CLONE_NEWNET
                    raise OSError(ctypes.get_errno(), "setns")
            results.append(make())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return results[0]

    def give_address(self):
        """The machine's loopback device, which its systemd has brought up, gets ADDRESS, netdevice(7)."""
        def add():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                address = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(ADDRESS))
                fcntl.ioctl(s, 0x8916, struct.pack("=16s", b"lo:1") + address + bytes(8))  # SIOCSIFADDR
        self.in_network(add)

    def argv(self, *argv, user=None):
        """The command line that runs argv inside, as root or as a user."""
        if user:
            argv = ("runuser", "-u", user, "--", *argv)
        return ["nsenter", "-t", str(self.init), "-p", "-m", "-u", "-i", "-n", "-C", "--",
                "env", "-i", "LC_ALL=C.UTF-8", "HOME=/tmp",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *argv]

    def run(self, *argv, user=None, check=True, timeout=30, stdin=""):
        p = subprocess.run(self.argv(*argv, user=user), input=stdin, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=timeout,
                           preexec_fn=die_with_parent)
        if check and p.returncode:
            raise RuntimeError("%s: status %d: %s%s" %
                               (" ".join(argv), p.returncode, p.stdout, p.stderr))
        return p

    def out(self, *argv, **more):
        return self.run(*argv, **more).stdout.strip()

    def prop(self, unit, name):
        return self.out("systemctl", "show", "-P", name, unit)

    @staticmethod
    def until(condition, what, seconds=PATIENCE_S):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError("not within %d s: %s" % (seconds, what))
            time.sleep(0.05)

    def stop(self):
        """Ends everything inside and leaves nothing behind. May be called twice."""
        if self.unshare:
            try:
                with open(os.path.join(self.group, "cgroup.kill"), "w") as f:
                    f.write("1")
            except OSError:
                self.unshare.kill()
            self.unshare.wait()
            self.unshare = None
        for _ in range(100):
            for folder, _, _ in os.walk(self.group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
            if not os.path.isdir(self.group):
                break
            time.sleep(0.05)
        shutil.rmtree(self.scratch, ignore_errors=True)
