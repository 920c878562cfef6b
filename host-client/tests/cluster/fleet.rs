//! Three relays of one store and key, each a process with a folder and a port of its own.

use std::{
    fs::{File, read_to_string},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Stdio},
};

use hushwire_relay::key::RelayKey;
use tempfile::TempDir;

use crate::program::relay::relay_command;

pub(crate) const RELAYS: usize = 3;
/// What a relay logs when it has claimed the store.
const HAS_STORE: &str = "the store on the cluster is this relay's";

/// They are killed, by their own process ids, when it is dropped.
pub(crate) struct Fleet {
    folder: TempDir,
    store: String,
    /// They stay the same over kills.
    ports: [u16; RELAYS],
    running: [Option<Child>; RELAYS],
    /// How many ended by themselves.
    pub(crate) ended: usize,
}

impl Fleet {
    pub(crate) fn start(store: String) -> Self {
        // All are held until the last is found, so that no two are the same.
        let held = [(); RELAYS].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = held.map(|held| held.local_addr().unwrap().port());
        let mut fleet = Self {
            folder: tempfile::tempdir().unwrap(),
            store,
            ports,
            running: Default::default(),
            ended: 0,
        };
        RelayKey::load_or_create(&fleet.path("key")).unwrap();
        (0..RELAYS).for_each(|n| fleet.start_one(n));
        fleet
    }

    /// With every place in it.
    pub(crate) fn url(&self) -> String {
        let key = RelayKey::load_or_create(&self.path("key")).unwrap();
        let places = self.ports.map(|port| format!("127.0.0.1:{port}"));
        format!("hush://{}/#{}", places.join(","), key.public())
    }

    pub(crate) fn ports(&self) -> [u16; RELAYS] {
        self.ports
    }

    pub(crate) fn start_one(&mut self, n: usize) {
        assert!(self.running[n].is_none(), "relay {n} runs");
        let (data, key) = (self.path(&format!("r{n}")), self.path("key"));
        let mut command = relay_command(&[
            "--data",
            data.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
            "--listen",
            &format!("127.0.0.1:{}", self.ports[n]),
            "--store",
            &self.store,
            "--log",
            "warn,hushwire_relay=info",
        ]);
        command.stdout(Stdio::null());
        command.stderr(File::create(self.log(n)).unwrap());
        self.running[n] = Some(command.spawn().unwrap());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, n: usize) {
        let mut child = self.running[n].take().expect("it was started");
        // It may have ended by itself: taken over.
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// What a supervisor does: who ended is started again.
    pub(crate) fn supervise(&mut self) {
        for n in 0..RELAYS {
            let ended = |child: &mut Child| child.try_wait().unwrap().is_some();
            if self.running[n].as_mut().is_some_and(ended) {
                self.running[n] = None;
                self.start_one(n);
                self.ended += 1;
            }
        }
    }

    /// The one that has the store. While it passes from one to another two may say so, or none.
    pub(crate) fn owner(&self) -> Option<usize> {
        let says = |n: &usize| self.running[*n].is_some() && self.said(*n).contains(HAS_STORE);
        let mut all = (0..RELAYS).filter(says);
        all.next().filter(|_| all.next().is_none())
    }

    /// What relay `n` logged since it was started last.
    pub(crate) fn said(&self, n: usize) -> String {
        read_to_string(self.log(n)).unwrap_or_default()
    }

    fn log(&self, n: usize) -> PathBuf {
        self.path(&format!("r{n}.log"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
