//! A disk in memory that fails as it is told, and that can lose its power.
//!
//! A power cut leaves what was synced and, of what was done since, any part: each sector of a write and
//! each change of the file's length is there or not, whatever became of those before it. A sector that is
//! there beyond the end of a file whose growth is not makes the file that long, with zeros between.
//!
//! That is more than file systems do. ext4, XFS and btrfs keep lengths in their journal's order, and give
//! a file no block beyond the length that they have for it: there a file is never of a length that nobody
//! gave it. One without a journal may write lengths and blocks in any order, and the engine has to stand
//! that as well: it syncs a greater length before it writes behind the old end, and makes a file
//! shorter only when nothing needs the rest.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// Bytes that a disk writes at once: a write of more may be torn between them.
const SECTOR: usize = 512;

/// What a file system gives a file at once.
const BLOCK: u64 = 4096;

/// What the machine, its disk and the tests share.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What survives a power cut.
    durable: Vec<u8>,
    /// What the machine sees.
    seen: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Change>,
    /// Operations so far.
    operations: u64,
    /// The operation from which on everything fails, and nothing more reaches the disk.
    cut_at: Option<u64>,
    writes_fail: bool,
    syncs_fail: bool,
    /// Blocks that have a place on the disk, and how many may have one: the file has holes.
    placed: BTreeSet<u64>,
    room: Option<usize>,
}

/// What becomes durable with the next sync, and may be before.
#[derive(Debug)]
enum Change {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

/// What a power cut keeps or loses as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Sector,
    Length,
}

impl Change {
    fn parts(&self) -> usize {
        match self {
            Self::Bytes(_, bytes) => bytes.len().div_ceil(SECTOR),
            Self::Length(_) => 1,
        }
    }

    /// Does to the file what `kept` picks.
    fn apply(&self, file: &mut Vec<u8>, kept: &mut dyn FnMut(Part) -> bool) {
        match self {
            Self::Bytes(offset, bytes) => {
                let places = (*offset as usize..).step_by(SECTOR);
                for (at, sector) in places.zip(bytes.chunks(SECTOR)) {
                    if kept(Part::Sector) {
                        put(file, at, sector);
                    }
                }
            }
            Self::Length(len) => {
                if kept(Part::Length) {
                    file.resize(*len as usize, 0);
                }
            }
        }
    }
}

/// A write beyond the end makes the file longer.
fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    file.resize(file.len().max(end), 0);
    file[at..end].copy_from_slice(bytes);
}

impl State {
    /// The disk takes what was done since the last sync, and no more than that.
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(&mut self.durable, &mut |_| true);
        }
    }
}

impl FaultyDisk {
    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// From now on so many operations succeed, then the power is gone.
    pub(crate) fn cut_after(&self, operations: u64) {
        let mut state = self.0.lock().unwrap();
        state.cut_at = Some(state.operations + operations);
    }

    pub(crate) fn fail(&self, writes: bool, syncs: bool) {
        let mut state = self.0.lock().unwrap();
        (state.writes_fail, state.syncs_fail) = (writes, syncs);
    }

    /// So many blocks more can be written that never were.
    pub(crate) fn limit_room(&self, blocks: usize) {
        let mut state = self.0.lock().unwrap();
        state.room = Some(state.placed.len() + blocks);
    }

    /// The disk after the power came back: what was synced, and of what was done since then those parts
    /// that `kept` picks, as a disk's cache would.
    pub(crate) fn power_up(&self, mut kept: impl FnMut() -> bool) -> Self {
        self.power_up_with(|_| kept())
    }

    /// The same, by what kind of part it is.
    pub(crate) fn power_up_with(&self, mut kept: impl FnMut(Part) -> bool) -> Self {
        let state = self.0.lock().unwrap();
        let mut durable = state.durable.clone();
        for change in &state.unsynced {
            change.apply(&mut durable, &mut kept);
        }
        Self::holding(durable)
    }

    /// Changes one byte of what is stored.
    pub(crate) fn damage(&self, at: usize, flip: u8) {
        let mut state = self.0.lock().unwrap();
        state.durable[at] ^= flip;
        state.seen = state.durable.clone();
    }

    /// A disk with this file on it.
    pub(crate) fn holding(file: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            seen: file.clone(),
            durable: file,
            ..State::default()
        })))
    }

    pub(crate) fn contents(&self) -> Vec<u8> {
        self.0.lock().unwrap().durable.clone()
    }

    /// Where these bytes stand, old pages of the file included.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<usize> {
        let state = self.0.lock().unwrap();
        let windows = state.durable.windows(bytes.len()).enumerate();
        let found = windows.filter(|(_, window)| *window == bytes);
        found.map(|(at, _)| at).collect()
    }

    /// The end of the file is gone.
    pub(crate) fn truncate(&self, len: usize) {
        let mut state = self.0.lock().unwrap();
        state.durable.truncate(len);
        state.seen = state.durable.clone();
    }

    /// What a power cut would decide about.
    pub(crate) fn unsynced_parts(&self) -> usize {
        let state = self.0.lock().unwrap();
        state.unsynced.iter().map(Change::parts).sum()
    }

    /// Changes of the length that are not synced.
    pub(crate) fn unsynced_lengths(&self) -> usize {
        let state = self.0.lock().unwrap();
        let lengths = state.unsynced.iter();
        lengths
            .filter(|change| matches!(change, Change::Length(_)))
            .count()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().durable.len()
    }

    /// The place of some byte that is not zero.
    pub(crate) fn used(&self, roll: usize) -> usize {
        let state = self.0.lock().unwrap();
        let used = state
            .durable
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte != 0);
        let used: Vec<_> = used.map(|(at, _)| at).collect();
        used[roll % used.len()]
    }

    fn operate<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        state.operations += 1;
        if state.cut_at.is_some_and(|cut_at| state.operations > cut_at) {
            return Err(io::Error::other("the power is gone"));
        }
        work(&mut state)
    }
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let bytes = state.seen.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(|state| {
            if state.writes_fail {
                return Err(io::Error::other("no space left"));
            }
            state.seen.resize(len as usize, 0);
            state.unsynced.push(Change::Length(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate(|state| {
            if state.syncs_fail {
                // Linux counts the pages as clean from here on: reads show them, no later sync writes them.
                // The length is none of them.
                let is_length = |change: &Change| matches!(change, Change::Length(_));
                state.unsynced.retain(is_length);
                return Err(io::Error::other("told to fail"));
            }
            state.sync();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(|state| {
            if state.writes_fail {
                return Err(io::Error::other("no space left"));
            }
            let end = offset as usize + data.len();
            for block in offset / BLOCK..(end as u64).div_ceil(BLOCK) {
                if state.room.is_some_and(|room| state.placed.len() >= room)
                    && !state.placed.contains(&block)
                {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                state.placed.insert(block);
            }
            put(&mut state.seen, offset as usize, data);
            state.unsynced.push(Change::Bytes(offset, data.to_vec()));
            Ok(())
        })
    }
}

/// A small generator, so that every run is the same.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }
}
