//! A need that Debian's packages meet: look first (quick, changes nothing), then install, else say exactly what a
//! person has to install.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::apt;
use crate::process;

/// Where Debian puts servers and what makes file systems, and people who are not root have no PATH to.
const SBIN: [&str; 2] = ["/usr/sbin", "/sbin"];

pub(super) struct Need {
    /// As a message names it.
    pub(super) what: &'static str,
    pub(super) packages: &'static [Package],
    /// What installs it where there is no apt.
    pub(super) elsewhere: Option<&'static str>,
}

pub(super) struct Package {
    name: &'static str,
    brings: Brings,
}

enum Brings {
    Program(&'static str),
    /// What is no program, and how it is looked for.
    Other(fn() -> bool),
}

/// A program, and the package that it comes with.
pub(super) const fn program(program: &'static str, package: &'static str) -> Package {
    Package {
        name: package,
        brings: Brings::Program(program),
    }
}

/// A package without a program, and whether it is there.
pub(super) const fn library(is_there: fn() -> bool, package: &'static str) -> Package {
    Package {
        name: package,
        brings: Brings::Other(is_there),
    }
}

impl Package {
    fn is_there(&self) -> bool {
        match self.brings {
            Brings::Program(program) => path_of(program).is_some(),
            Brings::Other(is_there) => is_there(),
        }
    }
}

/// The program's path, if it is installed.
pub(super) fn path_of(program: &str) -> Option<PathBuf> {
    let beside = SBIN.map(|folder| Path::new(folder).join(program));
    process::on_path(program).or_else(|| beside.into_iter().find(|path| path.is_file()))
}

impl Need {
    /// Finds it, else installs it, else says what to install.
    pub(super) fn ensure(&self) -> Result<()> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        eprintln!("Missing: {}.", self.what);
        let by_apt = apt::install(&missing);
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let why = by_apt.err().map_or_else(
            || "installed, and still not found".to_owned(),
            |error| format!("{error:#}"),
        );
        let elsewhere = self
            .elsewhere
            .map_or(String::new(), |how| format!("\n  {how}"));
        bail!(
            "missing: {} ({why}). Install it, then run this again:\n  apt-get install {}{elsewhere}",
            self.what,
            missing.join(" ")
        )
    }

    fn missing(&self) -> Vec<&'static str> {
        let missing = self.packages.iter().filter(|package| !package.is_there());
        missing.map(|package| package.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_installed_and_what_is_not_is_named() {
        const PACKAGES: &[Package] = &[
            program("sh", "dash"),
            library(|| true, "there"),
            program("no such program", "absent"),
            library(|| false, "absent-dev"),
        ];
        let need = Need {
            what: "nothing",
            packages: PACKAGES,
            elsewhere: None,
        };
        assert_eq!(need.missing(), ["absent", "absent-dev"]);
        let need = Need {
            packages: &PACKAGES[..2],
            ..need
        };
        need.ensure().unwrap();
    }
}
