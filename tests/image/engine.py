"""podman without a daemon, also in a container or a small VM."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# The runtime refuses a mixture of both kinds of control groups. Where there is one, podman gets a
# mount namespace in which there is none, and limits nothing.
_IS_HYBRID = Path("/sys/fs/cgroup/unified").is_dir()
_APART = (
    "umount --lazy /sys/fs/cgroup/unified && mount --types tmpfs none /sys/fs/cgroup && "
    'exec podman "$@"'
)
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
# As compose.yaml and the manifests run it: nothing can be written but /data and /tmp.
_TMP = "/tmp:rw,noexec,nosuid,nodev,mode=1777"  # noqa: S108 - the container's own
_HARDENED = (
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop", "all"),
    *("--security-opt", "no-new-privileges", "--tmpfs", _TMP),
)


@dataclass(frozen=True, slots=True)
class Engine:
    """Container engine whose images and containers are all below one directory."""

    directory: Path

    def podman(self, *arguments: str) -> str:
        """Run one podman command, and return its output."""
        store = ("--root", str(self.directory / "store"), "--runroot", str(self.directory / "run"))
        command = [*store, "--cgroup-manager", "cgroupfs", *arguments]
        before = ["unshare", "--mount", "sh", "-c", _APART, "sh"] if _IS_HYBRID else ["podman"]
        done = subprocess.run([*before, *command], capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"podman {' '.join(arguments)}: {done.stderr.decode()[-4000:]}")
        return done.stdout.decode()

    def build(self, checkout: Path, base: str, tag: str) -> None:
        """Build from the Dockerfile, with this machine's certificates and pip settings."""
        files = (Path("/etc/ssl/certs"), Path("/etc/pip.conf"))
        mounts = [f"--volume={path}:{path}:ro" for path in files if path.exists()]
        options = ("--isolation", "chroot", "--network", "host", "--format", "docker", *_LIMITS)
        self.podman(
            "build", *options, *mounts, "--build-arg", f"BASE={base}", "--tag", tag, str(checkout)
        )

    def run(self, *arguments: str) -> str:
        """Run a hardened container on this machine's network."""
        without_groups = ("--cgroups=disabled",) if _IS_HYBRID else ()
        return self.podman(
            "run", "--network", "host", *without_groups, *_LIMITS, *_HARDENED, *arguments
        )

    @contextmanager
    def running(self, name: str, *arguments: str) -> Iterator[None]:
        """Run a container in the background until the block ends."""
        self.run("--detach", "--name", name, *arguments)
        try:
            yield
        except Exception:
            print(self.podman("logs", "--tail", "50", name), file=sys.stderr)
            raise
        finally:
            self.podman("rm", "--force", "--time", "5", name)

    def stop(self, name: str) -> tuple[float, int]:
        """Send SIGTERM; return the seconds to the end and the exit code."""
        began = time.monotonic()
        self.podman("stop", "--time", "30", name)
        code = self.podman("inspect", "--format", "{{.State.ExitCode}}", name)
        return time.monotonic() - began, int(code)

    def stand_in(self, tag: str) -> None:
        """Build a stand-in for python:*-slim-bookworm where no registry can be reached.

        It has Debian's smallest root, and the Python that runs this, which must be built for Debian
        12.
        """
        root = self.directory / "root"
        packages = "ca-certificates,libbz2-1.0,libffi8,liblzma5,libsqlite3-0,libssl3,netbase,zlib1g"
        debootstrap = ("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm")
        _quietly(*debootstrap, str(root))
        for part in ("bin", "lib"):
            source = Path(sys.base_prefix) / part
            _quietly("cp", "--archive", f"{source}/.", str(root / "usr" / "local" / part))
        library = (
            root / "usr/local/lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        )
        _quietly("rm", "-rf", str(library / "test"), str(library / "site-packages"))
        (library / "site-packages").mkdir()
        _quietly("find", str(root / "usr/local/lib"), "-name", "*.a", "-delete")
        _quietly("chroot", str(root), "ldconfig")
        _quietly("chroot", str(root), "python3", "-m", "ensurepip")
        _quietly("chroot", str(root), "ln", "-sf", "python3", "/usr/local/bin/python")
        _quietly("find", str(root / "var/cache/apt"), str(root / "var/lib/apt/lists"), "-delete")
        packed = self.directory / "root.tar"
        _quietly("tar", "--directory", str(root), "--create", "--file", str(packed), ".")
        self.podman("import", str(packed), tag)


def _quietly(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")
