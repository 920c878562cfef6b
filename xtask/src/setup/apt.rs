//! Debian packages, where there is apt and the right to use it.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Installs packages; an error says why it could not.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    if process::on_path("apt-get").is_none() {
        bail!("this system has no apt-get");
    }
    if !is_root()? {
        bail!(
            "not root, so `apt-get install {}` is left to you",
            packages.join(" ")
        );
    }
    eprintln!("  apt-get install {}", packages.join(" "));
    // A machine whose package lists are fresh from the image has none, or old ones.
    apt(&["update"]).context("cannot refresh the package lists")?;
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(packages);
    apt(&words)
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Another set-up may hold the package database for a while.
        .args(["--quiet", "--option", "DPkg::Lock::Timeout=300"])
        .args(words);
    process::logged(&mut command, &format!("apt-{}", words[0]))?
        .must_succeed(&format!("apt-get {}", words[0]))?;
    Ok(())
}

fn is_root() -> Result<bool> {
    Ok(process::stdout_of(Command::new("id").arg("-u"))?.trim() == "0")
}
