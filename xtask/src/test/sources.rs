//! Rules on the source files: their length, and which words may never stand in which folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::project;
use crate::report::Tally;

/// No file is longer, its tests aside.
const LONGEST: usize = 500;

/// The folders of source that ship or test what ships.
const SOURCES: [&str; 8] = [
    "core-nostd/src",
    "core-nostd/c-api/src",
    "flash-store/src",
    "host-relay/src",
    "host-client/src",
    "websocket-stream/src",
    "xtask/src",
    "xtask/size-probe/src",
];

/// A dependency between parts that must never be.
struct Arrow {
    name: &'static str,
    /// Files whose path, from the root, begins so.
    from: &'static [&'static str],
    never: &'static [&'static str],
}

const ARROWS: [Arrow; 6] = [
    Arrow {
        name: "core needs no std and no heap",
        from: &["core-nostd/src"],
        never: &["std::", "alloc::", "extern crate alloc"],
    },
    Arrow {
        name: "the C library needs no std and no heap",
        from: &["core-nostd/c-api/src"],
        never: &["std::", "alloc::", "extern crate alloc"],
    },
    Arrow {
        name: "the flash store needs no std and no heap",
        from: &["flash-store/src"],
        never: &["std::", "alloc::", "extern crate alloc"],
    },
    Arrow {
        name: "wire knows no secret and no state",
        from: &["core-nostd/src/wire"],
        never: &[
            "crate::session",
            "crate::ratchet",
            "crate::handshake",
            "crate::snapshot",
            "crate::endpoint",
            "SecretKey",
            "crypto::secret",
        ],
    },
    Arrow {
        name: "relay's logic moves no bytes",
        from: &[
            "host-relay/src/relay",
            "host-relay/src/mailbox",
            "host-relay/src/directory",
        ],
        never: &["tokio"],
    },
    Arrow {
        name: "relay's code names no session",
        from: &["host-relay/src"],
        never: &[
            "hushwire_core::session",
            "hushwire_core::ratchet",
            "hushwire_core::handshake",
            "hushwire_core::endpoint",
            "hushwire_core::snapshot",
        ],
    },
];

/// The rules, each as one check.
pub(super) fn check(tally: &mut Tally) {
    tally.check("files are short", short_files);
    for arrow in &ARROWS {
        tally.check(arrow.name, || keeps(arrow));
    }
}

fn short_files() -> Result<String> {
    let mut lengths = Vec::new();
    for folder in SOURCES {
        for (path, text) in rust_files(folder)? {
            lengths.push((without_tests(&text).lines().count(), path));
        }
    }
    lengths.sort();
    let long: Vec<_> = lengths
        .iter()
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, path)| format!("{path} has {lines} lines without its tests"))
        .collect();
    ensure!(
        long.is_empty(),
        "split these, one idea per file:\n{}",
        long.join("\n")
    );
    let median = lengths
        .get(lengths.len() / 2)
        .map_or(0, |(lines, _)| *lines);
    Ok(format!(
        "{} files, median {median} lines without tests",
        lengths.len()
    ))
}

fn keeps(arrow: &Arrow) -> Result<String> {
    let mut found = Vec::new();
    for folder in SOURCES {
        for (path, text) in rust_files(folder)? {
            if arrow.from.iter().any(|from| path.starts_with(from)) {
                found.extend(offences(&text, arrow.never).map(|line| format!("{path}: {line}")));
            }
        }
    }
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    Ok(String::new())
}

/// The lines of code, tests and comments aside, in which one of the words stands.
fn offences<'a>(text: &'a str, words: &'a [&str]) -> impl Iterator<Item = &'a str> {
    without_tests(text)
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
        .filter(|line| words.iter().any(|word| stands_in(line, word)))
}

/// Whether the word stands there by itself, not as the end of a longer name.
fn stands_in(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// A file's text up to its unit tests, which stand at its foot.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ")
        .map_or(text, |end| &text[..end])
}

/// Every Rust file below a folder, by its path from the root. A folder that is not there yet has none.
fn rust_files(folder: &str) -> Result<Vec<(String, String)>> {
    let root = project::root();
    let mut files = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !is_test(&path) {
                files.push((from_root(&root, &path), read(&path)?));
            }
        }
    }
    Ok(files)
}

/// Unit tests that have a file of their own.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests")
}

fn read(path: &PathBuf) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn from_root(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_at_the_foot_do_not_count() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    use std::vec;\n}\n";
        assert_eq!(without_tests(text), "fn a() {}\n");
        assert_eq!(offences(text, &["std::"]).count(), 0);
    }

    #[test]
    fn words_are_found_in_code_but_not_in_comments_or_longer_names() {
        assert_eq!(offences("use std::fmt;\n", &["std::"]).count(), 1);
        assert_eq!(
            offences("// std::fmt\n/// std::fmt\n", &["std::"]).count(),
            0
        );
        assert_eq!(offences("use no_std::fmt;\n", &["std::"]).count(), 0);
    }
}
