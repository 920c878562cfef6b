//! What a thief of a disk would find.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The outcome of a search.
#[derive(Debug)]
pub struct Found {
    /// Files that were read.
    pub files: usize,
    /// Bytes in all of them.
    pub bytes: usize,
    /// What was found where, in words.
    pub hits: Vec<String>,
}

/// Searches every byte of one file for the texts.
///
/// # Errors
/// It cannot be read, or is empty, which would prove nothing.
pub fn search_file(path: &Path, texts: &[&str]) -> Result<Found> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(!bytes.is_empty(), "{} is empty", path.display());
    let hits = texts.iter().filter(|text| holds(&bytes, text.as_bytes()));
    Ok(Found {
        files: 1,
        bytes: bytes.len(),
        hits: hits
            .map(|text| format!("{} holds \"{text}\"", path.display()))
            .collect(),
    })
}

/// Searches every byte of every file below a folder, and the files' names, for the texts.
///
/// # Errors
/// A file cannot be read, or there is nothing at all, which would prove nothing.
pub fn search(folder: &Path, texts: &[&str]) -> Result<Found> {
    let mut found = Found {
        files: 0,
        bytes: 0,
        hits: Vec::new(),
    };
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot look into {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // A socket that a killed program left behind holds nothing.
            if !path.is_file() {
                continue;
            }
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let bytes =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            found.files += 1;
            found.bytes += bytes.len();
            for text in texts {
                if holds(&bytes, text.as_bytes()) || name.contains(text) {
                    found.hits.push(format!("{name} holds \"{text}\""));
                }
            }
        }
    }
    // An empty folder would make the search a lie.
    ensure!(
        found.bytes > 0,
        "the folder {} holds nothing at all",
        folder.display()
    );
    Ok(found)
}

/// Whether the bytes hold the text, in whichever case of its letters.
fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_files_below_and_in_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("below");
        std::fs::create_dir(&below).expect("a folder");
        std::fs::write(below.join("store"), b"\0\0Secret\0").expect("a file");
        let found = search(folder.path(), &["secret", "other"]).expect("searched");
        assert_eq!((found.files, found.bytes, found.hits.len()), (1, 9, 1));
        assert_eq!(
            search(folder.path(), &["store"])
                .expect("searched")
                .hits
                .len(),
            1
        );
    }

    #[test]
    fn an_empty_folder_proves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(search(folder.path(), &["secret"]).is_err());
    }
}
