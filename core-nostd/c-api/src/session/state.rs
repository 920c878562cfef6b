//! A session's record and its end.

use hushwire_core::session::{Position, StateError};

use super::{Inner, Session, Slotted, accept::HW_START_TAG_LEN, session_slot};
use crate::{
    context::{Held, Vacant, wipe},
    env::{Env, World},
    memory::{Memory, Plain},
    prekeys::{self, Prekeys},
    status::Status,
};

/// What a session says of itself.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SessionInfo {
    /// Where its record is.
    pub slot: u32,
    /// Largest body that the peer takes, in bytes.
    pub max_body: u32,
    /// Names the start that made it.
    pub start_tag: [u8; HW_START_TAG_LEN],
    /// 1 once the peer has shown that it holds this session now. Until then keep a confirmed older
    /// session beside it, and send on that one.
    pub is_confirmed: u8,
    /// 1 where this side started it.
    pub is_initiator: u8,
    /// 1 where the next seal makes a new ratchet key, which takes two multiplications on the curve.
    pub will_step: u8,
}

// SAFETY: integers and bytes.
unsafe impl Plain for SessionInfo {}

/// Says how a session stands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_inspect(
    session: *mut Session,
    info: *mut SessionInfo,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut tell = || {
        let slotted = Held::of(&mut memory, session)?;
        let session = slotted.get()?;
        let now = SessionInfo {
            slot: slotted.slot,
            max_body: u32::try_from(session.max_body()).unwrap_or(u32::MAX),
            start_tag: *session.start_tag().bytes(),
            is_confirmed: u8::from(session.is_confirmed()),
            is_initiator: u8::from(session.is_initiator()),
            will_step: u8::from(session.will_step()),
        };
        *memory.output(info, now)? = now;
        Ok(())
    };
    Status::of(tell())
}

/// Takes a session out of its record, which is opened and wiped in place. Messages that had left
/// since the record was written leave a gap in the numbers, which the peer bridges.
///
/// `prekeys` may be null on a device that publishes none. Else restore them first: where a loss of
/// power came between the two records, the one-time prekey that this session spent is wiped now, and
/// the prekeys are stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_restore(
    session: *mut Session,
    slot: u32,
    prekeys: *mut Prekeys,
    env: *const Env,
    record: *mut u8,
    record_len: usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut restore = || {
        let vacant = Vacant::claim(&mut memory, session)?;
        let slot = session_slot(slot)?;
        let mut world = World::storing(&mut memory, env)?;
        let record = memory.edit(record, record_len)?;
        let mut prekeys = if prekeys.is_null() {
            None
        } else {
            Some(Held::of(&mut memory, prekeys)?)
        };
        let read = world.read_record(slot, record, |bytes| decode(vacant, slot, bytes))?;
        let spent = read.get()?.spent_prekey();
        let mut stored = Ok(());
        if let Some((prekeys, id)) = prekeys.as_mut().zip(spent)
            && prekeys.spend(id)
        {
            stored = prekeys::save(&mut world, prekeys);
        }
        read.keep_if(stored)
    };
    Status::of(restore())
}

/// Out of line: only here does a session lie on the stack.
#[inline(never)]
fn decode(vacant: Vacant<Slotted>, slot: u32, bytes: &[u8]) -> Result<Held<Slotted>, StateError> {
    match Inner::decode(bytes) {
        Ok(session) => {
            let session = Some(session);
            Ok(vacant.fill(Slotted { slot, session }))
        }
        Err(error) => Err(error),
    }
}

/// An orderly stop: stores the exact position, so that no number is skipped, and wipes the session in
/// RAM. Where storing fails the session is HW_STATUS_STALE: wipe it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_close(session: *mut Session, env: *const Env) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut close = || {
        let mut slotted = Held::of(&mut memory, session)?;
        let mut world = World::storing(&mut memory, env)?;
        let slot = slotted.slot;
        let session = slotted.get_mut()?;
        let stored = world.commit(slot, None, |record| session.encode(Position::Exact, record));
        // The exact position may be in storage: what is sealed after it would repeat a key.
        slotted.spoil();
        stored
    };
    if let Err(status) = close() {
        return status;
    }
    // SAFETY: as above; the first use has ended.
    let mut memory = unsafe { Memory::of_this_call() };
    Status::of(wipe(&mut memory, session))
}

/// Wipes the session in RAM. The record is untouched: messages may still come for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_wipe(session: *mut Session) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    Status::of(wipe(&mut memory, session))
}
