//! What the commands need of Debian.

use std::path::Path;
use std::process::Command;

use super::need::{Need, library, program};
use crate::process;

pub(super) const QEMU: Need = Need {
    what: "QEMU with Arm's boards",
    packages: &[program("qemu-system-arm", "qemu-system-arm")],
    elsewhere: Some("brew install qemu"),
};

/// P-256 in assembly comes with a part in C. The compiler wants the headers of a C library.
pub(super) const ARM_GCC: Need = Need {
    what: "a C compiler for Arm's chips",
    packages: &[
        program("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        library(has_newlib, "libnewlib-arm-none-eabi"),
    ],
    elsewhere: Some("brew install --cask gcc-arm-embedded"),
};

/// Beside the two above, for the C library's example.
pub(super) const C_TOOLS: Need = Need {
    what: "tools for C",
    packages: &[
        program("cc", "gcc"),
        program("valgrind", "valgrind"),
        program("cmake", "cmake"),
        program("pkg-config", "pkg-config"),
    ],
    elsewhere: None,
};

/// For the tests of a relay whose store is a cluster.
pub(super) const NATS: Need = Need {
    what: "a NATS server",
    packages: &[program("nats-server", "nats-server")],
    elsewhere: Some("brew install nats-server"),
};

/// They check what operators are given, alert rules and a systemd unit.
pub(super) const OPERATORS: Need = Need {
    what: "checkers of alert rules and units",
    packages: &[
        program("promtool", "prometheus"),
        program("systemd-analyze", "systemd"),
    ],
    elsewhere: None,
};

/// Debian starts a service for each of these packages where services run. Those are left alone: the bench starts
/// processes of its own on other ports, and uses the programs only.
pub(super) const PEERS: Need = Need {
    what: "the servers that the relay is measured beside",
    packages: &[
        program("nats-server", "nats-server"),
        program("mosquitto", "mosquitto"),
        program("redis-server", "redis-server"),
    ],
    elsewhere: None,
};

/// For what this machine's own kernel does not allow a process.
pub(super) const OWN_KERNEL: Need = Need {
    what: "Linux as a program",
    packages: &[
        program("linux.uml", "user-mode-linux"),
        program("ip", "iproute2"),
    ],
    elsewhere: None,
};

/// A disk for it.
pub(super) const FILE_SYSTEMS: Need = Need {
    what: "what makes file systems",
    packages: &[
        program("mkfs.ext4", "e2fsprogs"),
        program("mkfs.xfs", "xfsprogs"),
        program("mkfs.btrfs", "btrfs-progs"),
    ],
    elsewhere: None,
};

/// It unpacks what Python's index has.
pub(super) const PIP: Need = Need {
    what: "Python's installer",
    packages: &[
        program("python3", "python3"),
        library(has_pip, "python3-pip"),
    ],
    elsewhere: None,
};

/// They build and run containers. runc, because crun refuses machines with hybrid cgroups.
pub(super) const CONTAINERS: Need = Need {
    what: "what builds and runs containers",
    packages: &[program("podman", "podman"), program("runc", "runc")],
    elsewhere: None,
};

/// It makes a small Debian from its packages, where no registry of images is reached.
pub(super) const BOOTSTRAP: Need = Need {
    what: "what makes a small Debian",
    packages: &[program("mmdebstrap", "mmdebstrap")],
    elsewhere: None,
};

/// newlib with its semihosting, which no program of its own shows: the compiler prints a path for a file that it
/// has, and the bare name for one that it has not.
fn has_newlib() -> bool {
    let mut ask = Command::new("arm-none-eabi-gcc");
    ask.arg("-print-file-name=rdimon.specs");
    process::stdout_of(&mut ask).is_ok_and(|found| Path::new(found.trim()).is_absolute())
}

fn has_pip() -> bool {
    process::stdout_of(Command::new("python3").args(["-m", "pip", "--version"])).is_ok()
}
