//! Podman with a storage of its own: stand-ins of base images must not meet anybody's other builds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, project};

/// Files and processes of what runs inside. Podman would ask for a million of them, which some
/// machines let not even root have; so many are enough for a build and for a few clients.
pub(super) const LIMITS: [&str; 2] = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"];

/// The engine, for one command at a time.
pub(super) struct Podman {
    storage: PathBuf,
    state: PathBuf,
    _lock: File,
}

impl Podman {
    /// Images, volumes and containers are in `folder`. Of the latter two there are none at first.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let lock = File::create(folder.join("lock")).context("cannot make the lock file")?;
        lock.try_lock()
            .context("another `cargo xtask container` is at work here")?;
        let podman = Self {
            storage: folder.join("storage"),
            state: folder.join("state"),
            _lock: lock,
        };
        podman.tidy()?;
        Ok(podman)
    }

    /// Removes what a command left that was interrupted, builds included.
    fn tidy(&self) -> Result<()> {
        let left = self.ask(&["ps", "--all", "--external", "--quiet"])?;
        for container in left.lines() {
            self.ask(&["rm", "--force", "--time=0", container])?;
        }
        self.ask(&["volume", "prune", "--force"]).map(drop)
    }

    /// `podman WORDS`, in the project's root.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command
            .current_dir(project::root())
            // Health checks are asked for by hand; timers of systemd are not everywhere.
            .env("DISABLE_HC_SYSTEMD", "true")
            .arg("--root")
            .arg(&self.storage)
            .arg("--runroot")
            .arg(&self.state)
            // Without a mount that stays, `cargo clean` can remove all of it.
            .args(["--storage-driver=overlay", "--runtime=runc"])
            .arg("--storage-opt=overlay.skip_mount_home=true")
            .args(words);
        command
    }

    /// What a command that must succeed prints.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String> {
        let printed = process::stdout_of(&mut self.command(words))?;
        Ok(printed.trim().to_owned())
    }

    /// Builds `file` with the context `folder` under a name; nothing of an earlier build is taken.
    pub(super) fn build(
        &self,
        words: &[&str],
        file: &Path,
        name: &str,
        folder: &Path,
    ) -> Result<()> {
        let mut command = self.command(&["build", "--layers=false", "--pull=never"]);
        command.args(LIMITS).args(words);
        command
            .args(["--tag", name, "--file"])
            .arg(file)
            .arg(folder);
        process::logged(&mut command, &format!("podman-build-{name}"))?
            .must_succeed(&format!("the build of {name}"))?;
        Ok(())
    }
}
