//! What a call borrows from the program around it: randomness, and storage that survives power.

use core::{convert::Infallible, ffi::c_void};

use hushwire_core::{
    session::StateError,
    snapshot::{HEADROOM, OVERHEAD, StorageKey},
};
use rand_core::{TryCryptoRng, TryRng};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    HW_RECORD_MAX,
    memory::{Memory, Plain},
    session::Message,
    status::Status,
};

/// The slot of the identity's record. Prekeys and sessions have slots of their own.
pub const HW_SLOT_IDENTITY: u32 = 0;
/// The slot of the prekeys' record.
pub const HW_SLOT_PREKEYS: u32 = 1;
/// The first slot for sessions: the program numbers them from here on.
pub const HW_SLOT_SESSION: u32 = 2;

/// What the store call-back must write in one transaction: after a loss of power all of it is
/// there, or nothing.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Commit {
    /// Which record to replace.
    pub slot: u32,
    /// The new record, sealed: it may lie in any memory. Valid until the call-back returns.
    pub record: *const u8,
    /// Bytes of the record, at most HW_RECORD_MAX.
    pub record_len: usize,
    /// The message that was opened with this state, or null. Keep its content in the same
    /// transaction: it opens only once. Valid until the call-back returns.
    pub message: *const Message,
}

/// What the program lends to each call: keep one for all.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Env {
    /// Handed to both call-backs.
    pub context: *mut c_void,
    /// Fills `len` bytes with randomness fit for keys; 0 for success. It must fail rather than give
    /// bytes of a generator that is not healthy.
    pub random: Option<unsafe extern "C" fn(context: *mut c_void, out: *mut u8, len: usize) -> i32>,
    /// Stores; 0 only once everything would survive a loss of power. It must not use the contexts
    /// and buffers of the call that it serves.
    pub store: Option<unsafe extern "C" fn(context: *mut c_void, commit: *const Commit) -> i32>,
    /// 32 bytes, under which every record is sealed: from protected memory, where the chip has some.
    pub storage_key: *const u8,
    /// Generation of the whole storage; a record opens in its own only. Raise it where a device
    /// changes its owner, else leave it 0.
    pub epoch: u64,
}

// SAFETY: pointers, integers, and functions that may be null: C may write anything.
unsafe impl Plain for Env {}

/// Bytes drawn at once: a ratchet key, a message's salt and a record's, which is what a seal uses.
const POOL: usize = 32 + 16 + 16;

/// The caller's environment, checked, with some randomness drawn in advance.
///
/// In advance, because the core takes a generator that cannot fail: what a call needs is there
/// before the call changes anything.
pub(crate) struct World<'m> {
    env: Env,
    key: Option<&'m [u8; 32]>,
    pool: Zeroizing<[u8; POOL]>,
    used: usize,
    failed: bool,
}

impl<'m> World<'m> {
    /// For calls that store.
    pub(crate) fn storing(memory: &mut Memory<'m>, at: *const Env) -> Result<Self, Status> {
        let env = memory.value(at)?;
        env.store.ok_or(Status::Argument)?;
        let key = memory.array(env.storage_key)?;
        Self::with(env, Some(key))
    }

    /// For calls that only draw randomness.
    pub(crate) fn drawing(memory: &mut Memory<'m>, at: *const Env) -> Result<Self, Status> {
        Self::with(memory.value(at)?, None)
    }

    fn with(env: Env, key: Option<&'m [u8; 32]>) -> Result<Self, Status> {
        let mut world = Self {
            env,
            key,
            pool: Zeroizing::new([0; POOL]),
            used: 0,
            failed: false,
        };
        world.refill()?;
        Ok(world)
    }

    fn refill(&mut self) -> Result<(), Status> {
        let random = self.env.random.ok_or(Status::Argument)?;
        let (out, len) = (self.pool.as_mut_ptr(), self.pool.len());
        // SAFETY: the program gave this function for this purpose, and the pool is `len` bytes.
        let answer = unsafe { random(self.env.context, out, len) };
        // A generator that is stuck at one value, or a call-back that writes nothing.
        let stuck = self.pool.iter().all(|byte| Some(byte) == self.pool.first());
        if answer != 0 || stuck {
            self.failed = true;
            self.pool.zeroize();
            return Err(Status::Random);
        }
        self.used = 0;
        Ok(())
    }

    /// Whether all randomness so far was the generator's. Nothing may leave otherwise.
    pub(crate) const fn healthy(&self) -> Result<(), Status> {
        if self.failed {
            Err(Status::Random)
        } else {
            Ok(())
        }
    }

    /// Seals what `encode` writes and has it stored, with a message if one was opened.
    ///
    /// The record is built on the stack, where no arithmetic's frame lies at that time.
    #[inline(never)]
    pub(crate) fn commit(
        &mut self,
        slot: u32,
        message: Option<&Message>,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, StateError>,
    ) -> Result<(), Status> {
        let mut record = Zeroizing::new([0; HW_RECORD_MAX]);
        let len = encode(record.get_mut(HEADROOM..).ok_or(Status::Buffer)?)?;
        let record = record
            .get_mut(..len.saturating_add(OVERHEAD))
            .ok_or(Status::Buffer)?;
        let key = StorageKey::from_bytes(*self.key.ok_or(Status::Argument)?);
        let epoch = self.env.epoch;
        key.seal(self, &slot.to_be_bytes(), epoch, record)?;
        self.healthy()?;
        let commit = Commit {
            slot,
            record: record.as_ptr(),
            record_len: record.len(),
            message: message.map_or(core::ptr::null(), |message| message),
        };
        let store = self.env.store.ok_or(Status::Argument)?;
        // SAFETY: the program gave this function for this purpose; commit, record and message live
        // until it returns.
        match unsafe { store(self.env.context, &raw const commit) } {
            0 => Ok(()),
            _ => Err(Status::Store),
        }
    }

    /// Opens a record in place and reads it; the plaintext is wiped again.
    pub(crate) fn read_record<T>(
        &self,
        slot: u32,
        record: &mut [u8],
        decode: impl FnOnce(&[u8]) -> Result<T, StateError>,
    ) -> Result<T, Status> {
        let key = StorageKey::from_bytes(*self.key.ok_or(Status::Argument)?);
        let contents = key.open(&slot.to_be_bytes(), self.env.epoch, record)?;
        let value = decode(contents);
        contents.zeroize();
        Ok(value?)
    }
}

impl TryRng for World<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Zeros once the generator has failed: the core takes them for no key, and [`World::healthy`]
    /// holds back everything else.
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for slot in out {
            if self.used == POOL && !self.failed {
                let _ = self.refill();
            }
            *slot = 0;
            if let Some(byte) = self.pool.get_mut(self.used).filter(|_| !self.failed) {
                core::mem::swap(slot, byte);
                self.used = self.used.saturating_add(1);
            }
        }
        Ok(())
    }
}

impl TryCryptoRng for World<'_> {}
