//! The store's file on a real disk: how it is named, made, and told from another one.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

/// The file of a store that is open. It is opened again after an I/O error, and is then the same or none:
/// where it is gone, with its disk perhaps, an empty store must not take its place.
pub(super) struct StoreFile {
    path: PathBuf,
    number: u64,
}

impl StoreFile {
    pub(super) fn at(path: PathBuf) -> io::Result<Self> {
        let number = number_of(&File::open(&path)?)?;
        Ok(Self { path, number })
    }

    pub(super) fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.is(&file)?;
        file.sync_data()?;
        backend(file)
    }

    /// The same where it takes no writes.
    pub(super) fn open_to_read(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = File::open(&self.path)?;
        self.is(&file)?;
        backend(file)
    }

    fn is(&self, file: &File) -> io::Result<()> {
        if number_of(file)? == self.number {
            return Ok(());
        }
        Err(io::Error::other(
            "another file is in the place of the store; start the relay again if it is the right one",
        ))
    }
}

fn backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    read_from_the_disk(&file);
    let file = FileBackend::new(file).map_err(io::Error::other)?;
    Ok(Box::new(file))
}

/// What a file system knows a file by.
#[cfg(unix)]
fn number_of(file: &File) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.ino())
}

#[cfg(not(unix))]
fn number_of(_: &File) -> io::Result<u64> {
    Ok(0)
}

/// The store's file in a folder.
pub(super) fn file_in(folder: &Path) -> PathBuf {
    folder.join("store.redb")
}

pub(super) fn open_file(path: &Path) -> io::Result<FileBackend> {
    FileBackend::new(open_for_writing(path)?).map_err(io::Error::other)
}

/// What Linux could not write it goes on to show, and ext4 does not always write it when it is told to
/// once more. So the system's memory of the file is dropped, whoever filled it: what is read from here on is
/// on the disk.
fn read_from_the_disk(file: &File) {
    #[cfg(target_os = "linux")]
    {
        // Where a file system knows no such thing the file is read as it is.
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

fn open_for_writing(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    sync_folder(path)?;
    Ok(file)
}

/// A new file's name is durable only with its folder.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
