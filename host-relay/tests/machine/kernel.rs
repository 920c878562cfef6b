//! Linux as a process of this machine, and its disk as a file.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::inside;

/// Longest silence of a machine that works: its servers elect, and its calls of the kernel are slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the kernel may take of this machine's memory, as it comes to need it.
const MEMORY: &str = "1G";
/// The disk's size; a file has what was written to it.
const DISK: u64 = 2 << 30;

/// What the disk is formatted with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl FileSystem {
    fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }
}

/// A machine that is off.
pub(crate) struct Machine {
    folder: TempDir,
    file_system: FileSystem,
}

impl Machine {
    pub(crate) fn with(file_system: FileSystem) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Self {
            folder,
            file_system,
        };
        for mounted in ["disk", "memory"] {
            std::fs::create_dir(machine.at(mounted)).unwrap();
        }
        let image = std::fs::File::create(machine.at("image")).unwrap();
        image.set_len(DISK).unwrap();
        let program = format!("mkfs.{}", file_system.name());
        let mut make = Command::new(&program);
        make.arg("-q").arg(machine.at("image"));
        let made = make.env("PATH", inside::PATH).output();
        let made = made.unwrap_or_else(|error| panic!("{program}: {error}; cargo xtask setup"));
        assert!(made.status.success(), "{program}: {made:?}");
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Switches it on; it does what the words say (`inside.rs`), and then switches itself off.
    pub(crate) fn boot(&self, words: &[&str]) -> Running {
        let script = self.at("init");
        std::fs::write(&script, self.init(words)).unwrap();
        let mut kernel = Command::new("linux.uml");
        kernel
            // The files of this machine are there to read, the tests' own program among them.
            .args(["rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
            .args(["con=null", "con0=null,fd:1"])
            .arg(format!("mem={MEMORY}"))
            .arg(format!("ubd0={}", self.at("image").display()))
            .args(["init=/bin/sh", "--"])
            .arg(&script)
            // Its memory is a file there.
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Its processes are this machine's too, and end with it.
            .process_group(0);
        let mut kernel = kernel
            .spawn()
            .unwrap_or_else(|error| panic!("linux.uml: {error}; cargo xtask setup"));
        let console = BufReader::new(kernel.stdout.take().unwrap());
        let (say, lines) = channel();
        std::thread::spawn(move || {
            // The last line of a machine without power may be half there.
            let whole = |line: &String| line.ends_with('\n');
            let mut console = console;
            loop {
                let mut line = String::new();
                let read = console.read_line(&mut line);
                if read.is_err() || !whole(&line) || say.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        Running { kernel, lines }
    }

    fn init(&self, words: &[&str]) -> String {
        let program = std::env::current_exe().unwrap();
        let quoted = |path: &Path| format!("'{}'", path.display());
        format!(
            "export PATH={path}
trap 'echo o > /proc/sysrq-trigger; sleep 60' EXIT
mount -t proc proc /proc
mount -t tmpfs tmpfs {memory}
mount -t {file_system} /dev/ubda {disk} || exit
cd {disk}
ip link set lo up
# Whatever hangs.
(sleep 900; echo o > /proc/sysrq-trigger) &
export {SETTING}='{words}'
{program} inside::inside --exact --ignored --nocapture --test-threads 1
",
            path = inside::PATH,
            file_system = self.file_system.name(),
            disk = quoted(&self.at("disk")),
            memory = quoted(&self.at("memory")),
            SETTING = inside::SETTING,
            words = words.join(" "),
            program = quoted(&program),
        )
    }
}

/// A machine that is on. Without this handle its power is cut.
pub(crate) struct Running {
    kernel: Child,
    lines: Receiver<String>,
}

impl Running {
    /// What it says next; nothing after its end, or where nothing comes until `deadline`.
    pub(crate) fn line(&self, deadline: Option<Instant>) -> Option<String> {
        let patience = deadline.map_or(PATIENCE, |at| at.saturating_duration_since(Instant::now()));
        match self.lines.recv_timeout(patience) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) if deadline.is_some() => None,
            Err(RecvTimeoutError::Timeout) => panic!("the machine says nothing any more"),
        }
    }

    /// Nothing that runs on it does anything any more. Returns what it had said until then.
    pub(crate) fn cut(mut self) -> Vec<String> {
        self.end();
        self.lines.iter().collect()
    }

    fn end(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.kernel), Signal::KILL);
        let _ = self.kernel.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
