//! Rules on the tree of dependencies: what may never be linked into what.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use crate::process;
use crate::report::Tally;

/// The one RustCrypto line. Two majors of one of these would put two implementations of the same
/// primitive into an image, and keys could cross between their types.
const CRYPTO_LINE: [(&str, &str); 8] = [
    ("p256", "0.14."),
    ("elliptic-curve", "0.14."),
    ("ecdsa", "0.17."),
    ("aes-gcm", "0.11."),
    ("hkdf", "0.13."),
    ("hmac", "0.13."),
    ("sha2", "0.11."),
    ("digest", "0.11."),
];

/// Never, whoever wants it: the random generator traits of the older line.
const OLD_RANDOM: (&str, &str) = ("rand_core", "0.6.");

/// What the core may never reach: io, network, time, a logger, a random generator of its own.
const NOT_IN_CORE: [&str; 16] = [
    "async-std",
    "chrono",
    "defmt",
    "futures",
    "getrandom",
    "libc",
    "log",
    "mio",
    "rand",
    "serde_json",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tracing",
    "web-time",
];

/// The rules, each as one check.
pub(super) fn check(tally: &mut Tally) {
    tally.check("relay links no end-to-end encryption", relay_is_blind);
    tally.check("core reaches no io, clock, logger, generator", core_is_pure);
    tally.check("one RustCrypto line", one_crypto_line);
}

fn relay_is_blind() -> Result<String> {
    let tree = tree(&["--package", "hushwire-relay", "--edges", "features"])?;
    ensure!(
        tree.contains("hushwire-core"),
        "the relay's tree shows no hushwire-core"
    );
    let session = tree
        .lines()
        .find(|line| line.contains("hushwire-core feature") && line.contains("\"e2ee\""));
    if let Some(line) = session {
        bail!(
            "the relay's tree has `{}`. Depend on hushwire-core with `default-features = false`; \
             tests that need sessions belong to host-client.",
            line.trim_start_matches(['│', '├', '└', '─', ' '])
        );
    }
    Ok(String::new())
}

fn core_is_pure() -> Result<String> {
    let tree = tree(&[
        "--package",
        "hushwire-core",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--target",
        "thumbv6m-none-eabi",
        "--all-features",
    ])?;
    let all = packages(&tree);
    let wrong: Vec<_> = all
        .iter()
        .filter(|(name, _)| NOT_IN_CORE.contains(&name.as_str()))
        .collect();
    ensure!(
        wrong.is_empty(),
        "the core's tree reaches {}",
        listed(wrong)
    );
    Ok(format!("{} packages", all.len()))
}

fn one_crypto_line() -> Result<String> {
    let tree = tree(&[
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--target",
        "all",
    ])?;
    let all = packages(&tree);
    let wrong: Vec<_> = all
        .iter()
        .filter(|(name, version)| off_line(name, version))
        .collect();
    ensure!(
        wrong.is_empty(),
        "outside of the one line: {}. `cargo tree --invert NAME@VERSION` tells who asks for it.",
        listed(wrong)
    );
    Ok(format!("{} packages", all.len()))
}

fn off_line(name: &str, version: &str) -> bool {
    let (old, old_version) = OLD_RANDOM;
    let line = CRYPTO_LINE.iter().find(|(part, _)| *part == name);
    line.is_some_and(|(_, wanted)| !version.starts_with(wanted))
        || (name == old && version.starts_with(old_version))
}

fn tree(arguments: &[&str]) -> Result<String> {
    process::stdout_of(
        process::cargo()
            .args(["tree", "--charset", "utf8"])
            .args(arguments),
    )
}

/// `p256 v0.14.1 (*)` -> ("p256", "0.14.1").
fn packages(tree: &str) -> BTreeSet<(String, String)> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            Some((name.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
        })
        .collect()
}

fn listed(packages: Vec<&(String, String)>) -> String {
    let words: Vec<_> = packages
        .into_iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read_line_by_line() {
        let tree = "hushwire-core v0.1.0 (/somewhere)\np256 v0.14.1\np256 v0.14.1 (*)\n\n";
        let names: Vec<_> = packages(tree).into_iter().collect();
        assert_eq!(names.len(), 2);
        assert_eq!(names[1], ("p256".to_owned(), "0.14.1".to_owned()));
    }

    #[test]
    fn older_lines_are_told_apart() {
        assert!(off_line("p256", "0.13.2"));
        assert!(off_line("rand_core", "0.6.4"));
        assert!(!off_line("rand_core", "0.10.1"));
        assert!(!off_line("p256", "0.14.3"));
        assert!(!off_line("tokio", "1.54.0"));
    }
}
