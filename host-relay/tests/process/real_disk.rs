//! R4 with the program itself on a real file system that fails beneath it. Needs root, loop devices and
//! ext4, so it is run by name: `cargo test -p hushwire-relay --test process -- --ignored real_disk`.
//! On any machine the same is held by `r4_a_failing_disk_beneath_the_whole_server`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use tempfile::TempDir;

use crate::process::{self, Process};
use crate::support::{Client, address_of};

const ALICE: u16 = 1;
const BOB: u16 = 2;
const CARL: u16 = 3;
const BODY: usize = 16_000;
const MIB: u64 = 1024 * 1024;
/// The file system's size, and what there is beneath it.
const SIZE: u64 = 64 * MIB;
const BENEATH: u64 = 48 * MIB;
/// Where the file system keeps its own blocks.
const OWN: usize = 8 * MIB as usize;

fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let done = Command::new(program).args(arguments).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} (as root?): {said}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// An ext4 in a sparse file on a tmpfs that is smaller than it says: when that is full, the device's
/// writes fail with EIO, as a broken disk's do.
struct Mounted {
    folder: TempDir,
    device: String,
}

impl Mounted {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["beneath", "mounted"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let beneath = folder.path().join("beneath");
        let options = format!("size={BENEATH}");
        run(
            "mount",
            ["-t", "tmpfs", "-o", &options, "none"]
                .map(OsStr::new)
                .into_iter()
                .chain([beneath.as_os_str()]),
        );
        let image = beneath.join("image");
        fs::File::create(&image).unwrap().set_len(SIZE).unwrap();
        let plain = [
            "-q",
            "-b",
            "4096",
            "-O",
            "^has_journal",
            "-E",
            "nodiscard,lazy_itable_init=0",
        ];
        run(
            "mkfs.ext4",
            plain.map(OsStr::new).into_iter().chain([image.as_os_str()]),
        );
        // The file system's own blocks have theirs beneath: what fails is the file's.
        let own = fs::read(&image).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&image).unwrap();
        file.write_all_at(&own[..OWN], 0).unwrap();
        let device = run(
            "losetup",
            [OsStr::new("-f"), OsStr::new("--show"), image.as_os_str()],
        );
        let mounted = Self { folder, device };
        mounted.mount();
        mounted
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn mount(&self) {
        let words = ["-o", "errors=remount-ro", &self.device].map(OsStr::new);
        run("mount", words.into_iter().chain([self.path().as_os_str()]));
    }

    fn unmount(&self) {
        run("umount", [self.path()]);
    }

    /// The file system finds an error, and takes no more writes: what ext4 does by itself.
    fn break_it(&self) {
        let name = Path::new(&self.device).file_name().unwrap();
        let trigger = Path::new("/sys/fs/ext4").join(name);
        fs::write(trigger.join("trigger_fs_error"), "1").unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("beneath/ballast")
    }

    /// The device beneath has no new block to give.
    fn fill(&self) {
        let mut file = fs::File::create(self.ballast()).unwrap();
        let chunk = vec![1; 1 << 16];
        while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "{}",
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
        }
        let _ = Command::new("umount").arg(self.path()).output();
        let _ = Command::new("losetup").args(["-d", &self.device]).output();
        let beneath = self.folder.path().join("beneath");
        let _ = Command::new("umount").arg(beneath).output();
    }
}

fn start(disk: &Mounted) -> Process {
    let log = fs::File::create(disk.folder.path().join("log")).unwrap();
    let mut command = process::command(&disk.path().join("data"));
    command.args(["--mailbox-messages", "4000", "--mailbox-bytes", "64000000"]);
    command.args(["--sender-share", "1", "--submit-burst", "100000"]);
    Process::spawn(command.stderr(log))
}

fn body(n: u32) -> Vec<u8> {
    [n.to_be_bytes().to_vec(), vec![7; BODY]].concat()
}

async fn take_all(target: &crate::support::Target, whose: u16) -> Vec<Vec<u8>> {
    let mut client = Client::connect(target, whose).await.unwrap();
    let mut came = Vec::new();
    for _ in 0..client.welcome.waiting {
        let (_, envelope) = client.delivery().await.unwrap();
        let ack = Request::Ack(EnvelopeId::of(&envelope));
        client.send(&ack).await.unwrap();
        came.push(envelope);
    }
    client.ping().await.unwrap();
    came
}

/// Each failure twice, with mail that waits before, is read meanwhile, and is accepted afterwards. Then
/// the file system is mounted anew, which shows what is really on the device.
async fn fails_and_recovers(fails: impl Fn(&Mounted), works: impl Fn(&Mounted)) {
    let disk = Mounted::new();
    let relay = start(&disk);
    for owner in [BOB, CARL] {
        let mut owner = Client::connect(&relay.target, owner).await.unwrap();
        owner.register().await.unwrap();
    }
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    let mut numbers = 0u32..4_000;
    let (mut accepted, mut told) = (Vec::new(), 0);
    // The file has its extents' block before anything fails.
    for n in numbers.by_ref().take(100) {
        let said = alice.submit(address_of(CARL), &body(n)).await.unwrap();
        assert_eq!(said, Ok(()));
        accepted.push(body(n));
    }
    for _ in 0..2 {
        let before = body(numbers.next().unwrap());
        for to in [BOB, CARL] {
            let said = alice.submit(address_of(to), &before).await.unwrap();
            assert_eq!(said, Ok(()));
        }
        accepted.push(before.clone());

        fails(&disk);
        // What has its place on the device may still get there.
        loop {
            let envelope = body(numbers.next().expect("the disk never fails"));
            match alice.submit(address_of(CARL), &envelope).await.unwrap() {
                Ok(()) => accepted.push(envelope),
                Err(reason) => {
                    assert_eq!(reason, Reason::StoreTrouble);
                    break;
                }
            }
        }
        told += 1;
        let came = take_all(&relay.target, BOB).await;
        assert!(came == [before], "reads go on: {} came", came.len());

        works(&disk);
        // The relay finds out by itself; a sender is told to come again in a moment.
        let after = body(numbers.next().unwrap());
        let mut tries = 0;
        while let Err(reason) = alice.submit(address_of(CARL), &after).await.unwrap() {
            assert_eq!(reason, Reason::StoreTrouble);
            told += 1;
            tries += 1;
            assert!(tries < 100, "it takes no messages any more");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        accepted.push(after);
    }
    relay.kill();
    disk.unmount();
    disk.mount();

    let relay = start(&disk);
    let mut came = take_all(&relay.target, CARL).await;
    // What a failed commit left may be there or not: its sender was told to say it again.
    came.retain(|envelope| accepted.contains(envelope));
    assert!(came == accepted, "{} of {}", came.len(), accepted.len());
    let again = take_all(&relay.target, BOB).await;
    assert!(again.is_empty(), "acks were made good, too");
    println!(
        "r4: {} accepted, all there after a new mount; {told} told to retry",
        accepted.len()
    );
    assert!(relay.terminate().0.success());
}

/// What ext4 does by itself when it finds an error. It takes writes only when it was mounted anew: reads go
/// on until then, the relay stops in order, and comes back with all that it had accepted.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, loop devices and ext4"]
async fn r4_real_disk_becomes_read_only_while_it_runs() {
    let disk = Mounted::new();
    let relay = start(&disk);
    for owner in [BOB, CARL] {
        let mut owner = Client::connect(&relay.target, owner).await.unwrap();
        owner.register().await.unwrap();
    }
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    let before: Vec<_> = (0..20).map(body).collect();
    for (to, envelope) in [BOB, CARL]
        .into_iter()
        .flat_map(|to| before.iter().map(move |e| (to, e)))
    {
        let said = alice.submit(address_of(to), envelope).await.unwrap();
        assert_eq!(said, Ok(()));
    }
    disk.break_it();
    for n in 100..110 {
        let said = alice.submit(address_of(CARL), &body(n)).await.unwrap();
        assert_eq!(said, Err(Reason::StoreTrouble));
        let mut carl = Client::connect(&relay.target, CARL).await.unwrap();
        let (_, first) = carl.delivery().await.unwrap();
        assert!(first == before[0], "reads go on");
    }
    let (data, copy) = (disk.path().join("data"), disk.folder.path().join("copy"));
    run(
        env!("CARGO_BIN_EXE_hushwire-relay"),
        [
            OsStr::new("backup"),
            OsStr::new("--data"),
            data.as_os_str(),
            OsStr::new("--to"),
            copy.as_os_str(),
        ],
    );
    assert!(take_all(&relay.target, BOB).await == before, "reads go on");
    let (status, _) = relay.terminate();
    assert!(status.success(), "it stops in order");

    disk.unmount();
    disk.mount();
    let relay = start(&disk);
    assert!(take_all(&relay.target, CARL).await == before);
    // No disk took Bob's acks: he knows his messages again by their ids.
    assert!(take_all(&relay.target, BOB).await == before);
    assert!(relay.terminate().0.success());
}

/// The file takes no write, then it does: each write says `EPERM`, as on a file system that is mounted
/// read-only for a time.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, loop devices and ext4"]
async fn r4_real_disk_takes_no_writes_for_a_time() {
    let chattr = |how: &str, disk: &Mounted| {
        let store = disk.path().join("data/store.redb");
        run("chattr", [OsStr::new(how), store.as_os_str()]);
    };
    fails_and_recovers(|disk| chattr("+i", disk), |disk| chattr("-i", disk)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, loop devices and ext4"]
async fn r4_real_disk_says_eio_when_it_is_synced() {
    fails_and_recovers(Mounted::fill, |disk| {
        fs::remove_file(disk.ballast()).unwrap();
    })
    .await;
}
