//! Linux as a process of this machine, and its disk as a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::inside;

/// Longest silence of a machine that works: its servers elect, and its calls of the kernel are slow.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the kernel may take of this machine's memory, as it comes to need it.
const MEMORY: &str = "1G";
/// The disk's size; a file has what was written to it.
const DISK: u64 = 2 << 30;
/// Lines that are shown where something went wrong.
const LAST: usize = 60;
/// Between two looks at the console.
const LOOK: Duration = Duration::from_millis(2);

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
        // Of a kernel's arguments, and of a shell's.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        for path in [folder.path(), &std::env::current_exe().unwrap()] {
            let path = path.to_str().expect("a path that is text");
            assert!(path.chars().all(is_plain), "{path} has other characters");
        }
        let machine = Self {
            folder,
            file_system,
        };
        for mounted in ["disk", "memory"] {
            std::fs::create_dir(machine.at(mounted)).unwrap();
        }
        let image = File::create(machine.at("image")).unwrap();
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
    pub(crate) fn boot(&self, words: &str) -> Running {
        let script = self.at("init");
        std::fs::write(&script, self.init(words)).unwrap();
        let [console, errors] = ["console", "errors"].map(|name| self.at(name));
        // It ends with this process, however that ends.
        let mut kernel = Command::new("setpriv");
        kernel
            .args(["--pdeathsig", "KILL", "linux.uml"])
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
            // A file takes at once what is said: in a pipe that is full it would wait in the machine, and go with it.
            .stdout(File::create(&console).unwrap())
            .stderr(File::create(&errors).unwrap())
            // Its processes are this machine's too, and end with it.
            .process_group(0);
        let kernel = kernel
            .spawn()
            .unwrap_or_else(|error| panic!("setpriv: {error} (Debian's package util-linux)"));
        Running {
            kernel,
            is_on: true,
            console: File::open(console).unwrap(),
            said: Vec::new(),
            last: VecDeque::new(),
            errors,
        }
    }

    fn init(&self, words: &str) -> String {
        let program = std::env::current_exe().unwrap();
        let shown = |path: &Path| path.display().to_string();
        format!(
            "export PATH={path} NO_COLOR=1
ulimit -n 20000
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
            disk = shown(&self.at("disk")),
            memory = shown(&self.at("memory")),
            SETTING = inside::SETTING,
            program = shown(&program),
        )
    }
}

/// A machine that is on. Without this handle its power is cut.
pub(crate) struct Running {
    kernel: Child,
    is_on: bool,
    console: File,
    /// Of the console, what was not handed out.
    said: Vec<u8>,
    /// The last lines of it that were.
    last: VecDeque<String>,
    errors: PathBuf,
}

impl Running {
    /// What it says next; nothing where nothing comes until `deadline`.
    ///
    /// # Panics
    ///
    /// Where it ends by itself, or says nothing for very long.
    pub(crate) fn line(&mut self, deadline: Option<Instant>) -> Option<String> {
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.next_line() {
                return Some(line);
            }
            let now = Instant::now();
            if deadline.is_some_and(|at| at <= now) {
                return None;
            }
            self.must_be_on();
            assert!(now < patience, "it is silent: {}", self.trouble());
            std::thread::sleep(LOOK);
        }
    }

    fn next_line(&mut self) -> Option<String> {
        let end = |said: &[u8]| said.iter().position(|byte| *byte == b'\n');
        if end(&self.said).is_none() {
            self.console.read_to_end(&mut self.said).unwrap();
        }
        // The last one of a machine without power may be half there.
        let line: Vec<_> = self.said.drain(..=end(&self.said)?).collect();
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        Some(line)
    }

    fn must_be_on(&mut self) {
        if self.kernel.try_wait().unwrap().is_some() {
            self.is_on = false;
            while self.next_line().is_some() {}
            panic!("it ended by itself: {}", self.trouble());
        }
    }

    fn trouble(&self) -> String {
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        format!("{:#?} {errors}", self.last)
    }

    /// Nothing that runs on it does anything any more. Returns what it had said until then.
    pub(crate) fn cut(mut self) -> Vec<String> {
        self.must_be_on();
        self.end();
        std::iter::from_fn(|| self.next_line()).collect()
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.is_on) {
            let _ = kill_process_group(Pid::from_child(&self.kernel), Signal::KILL);
            let _ = self.kernel.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
