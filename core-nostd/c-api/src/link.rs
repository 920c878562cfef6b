//! The link to the relay: Noise XK, then sealed records in which frames travel.
//!
//! ```text
//! hw_link_start ──flight 1──> relay ──flight 2──> hw_link_finish ──flight 3──> relay
//! hw_link_seal, hw_link_open, hw_link_next
//! ```

use hushwire_core::{
    crypto::{PublicKey, Software},
    link::{self, Bounds, HEAD_ROOM, Initiator, Opener, Scan, Sealer, SentMessage1, TAIL_ROOM},
    wire::frame,
};

use crate::{
    context::{Held, Vacant, context, wipe},
    env::{Env, World},
    identity::Identity,
    memory::{Memory, Plain},
    status::Status,
};

/// Words of 8 bytes in a link's context.
pub const HW_LINK_WORDS: usize = 28;
/// Bytes of a relay's public key, as its URL shows it in hexadecimal.
pub const HW_RELAY_KEY_LEN: usize = 33;
/// Bytes that a client sends first.
pub const HW_FLIGHT_1_LEN: usize = 88;
/// Bytes that the relay answers, the length in front included.
pub const HW_FLIGHT_2_LEN: usize = 89;
/// Bytes that a client sends last.
pub const HW_FLIGHT_3_LEN: usize = 138;
/// Bytes in front of a record's frames: its length.
pub const HW_HEAD_ROOM: usize = 2;
/// Bytes behind a record's frames: the tag.
pub const HW_TAIL_ROOM: usize = 16;

const _: () = {
    assert!(HW_RELAY_KEY_LEN == PublicKey::LEN);
    assert!(HW_FLIGHT_1_LEN == link::FLIGHT_1_LEN);
    assert!(HW_FLIGHT_2_LEN == link::FLIGHT_2_LEN);
    assert!(HW_FLIGHT_3_LEN == link::FLIGHT_3_LEN);
    assert!(HW_HEAD_ROOM == HEAD_ROOM && HW_TAIL_ROOM == TAIL_ROOM);
};

/// What one side of a link takes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LinkLimits {
    /// Bytes of the largest record without its length: frames and tag.
    pub max_record: u16,
    /// Bytes of the largest frame, at least 1313.
    pub max_frame: u16,
    /// Deliveries under way without an ack or refusal.
    pub window: u16,
}

// SAFETY: integers.
unsafe impl Plain for LinkLimits {}

impl From<&link::LinkLimits> for LinkLimits {
    fn from(limits: &link::LinkLimits) -> Self {
        Self {
            max_record: limits.max_record(),
            max_frame: limits.max_frame(),
            window: limits.window(),
        }
    }
}

/// A link's progress. What fails becomes `Dead`.
pub(crate) enum State {
    Calling {
        sent: SentMessage1,
    },
    Up {
        sealer: Sealer,
        opener: Opener,
        own: link::LinkLimits,
    },
    Dead,
}

/// One connection to a relay. Zero it before first use; it may not be moved or copied.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Link {
    opaque: [u64; HW_LINK_WORDS],
}

context!(Link holds State, marked b"HWlink_1");

/// Begins a link to the relay whose key is pinned, and writes what to send first. `limits` is what
/// this side takes: a device may say {1400, 1382, 1}.
///
/// cbindgen:ptrs-as-arrays=[[relay_key; HW_RELAY_KEY_LEN], [out; HW_FLIGHT_1_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_link_start(
    link: *mut Link,
    env: *const Env,
    relay_key: *const u8,
    limits: *const LinkLimits,
    out: *mut u8,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut start = || {
        let vacant = Vacant::claim(&mut memory, link)?;
        let mut world = World::drawing(&mut memory, env)?;
        let relay_key = PublicKey::parse(&mut Software, memory.array(relay_key)?)?;
        let limits = memory.value(limits)?;
        let limits = link::LinkLimits::new(limits.max_record, limits.max_frame, limits.window)
            .map_err(|_| Status::Argument)?;
        let out = memory.room(out)?;
        let sent =
            Initiator::new(relay_key, limits).write_message_1(&mut Software, &mut world, out);
        world.healthy()?;
        vacant.fill(State::Calling { sent: sent? });
        Ok(())
    };
    Status::of(start())
}

/// Takes the relay's answer (the HW_FLIGHT_2_LEN bytes as they came), and writes what to send last.
/// The link is up then; `peer`, which may be null, says what the relay takes.
///
/// cbindgen:ptrs-as-arrays=[[flight; HW_FLIGHT_2_LEN], [out; HW_FLIGHT_3_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_link_finish(
    link: *mut Link,
    identity: *mut Identity,
    flight: *const u8,
    out: *mut u8,
    peer: *mut LinkLimits,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut finish = || {
        let mut link = Held::of(&mut memory, link)?;
        let mut identity = Held::of(&mut memory, identity)?;
        let flight: &[u8; HW_FLIGHT_2_LEN] = memory.array(flight)?;
        let out = memory.room(out)?;
        let peer = if peer.is_null() {
            None
        } else {
            let empty = LinkLimits {
                max_record: 0,
                max_frame: 0,
                window: 0,
            };
            Some(memory.output(peer, empty)?)
        };
        if !matches!(&*link, State::Calling { .. }) {
            return Err(Status::State);
        }
        let State::Calling { sent } = core::mem::replace(&mut *link, State::Dead) else {
            return Err(Status::State);
        };
        let bounds = Bounds::exactly(link::MESSAGE_2_LEN);
        let (Ok(Scan::Whole(_)), [_, _, message @ ..]) = (link::scan(flight, bounds), flight)
        else {
            return Err(Status::Link);
        };
        let transport = sent
            .read_message_2(&mut Software, message)?
            .write_message_3(&mut Software, &mut *identity, out)?;
        if let Some(peer) = peer {
            *peer = transport.peer_limits().into();
        }
        let own = *transport.own_limits();
        let (sealer, opener) = transport.split();
        *link = State::Up {
            sealer,
            opener,
            own,
        };
        Ok(())
    };
    Status::of(finish())
}

/// Looks at the front of what was received: with HW_STATUS_OK a whole record stands there, `len`
/// bytes behind HW_HEAD_ROOM; with HW_STATUS_MORE at least `len` bytes more are needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_link_next(
    link: *mut Link,
    received: *const u8,
    received_len: usize,
    len: *mut usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut next = || {
        let link = Held::of(&mut memory, link)?;
        let received = memory.read(received, received_len)?;
        let len = memory.output(len, 0)?;
        let bounds = match &*link {
            State::Calling { .. } => Bounds::exactly(link::MESSAGE_2_LEN),
            State::Up { own, .. } => Bounds::records(own),
            State::Dead => return Err(Status::Link),
        };
        match link::scan(received, bounds).map_err(|_| Status::Link)? {
            Scan::Whole(whole) => {
                *len = whole;
                Ok(())
            }
            Scan::Need(more) => {
                *len = more;
                Err(Status::More)
            }
        }
    };
    Status::of(next())
}

/// Seals a record in place: `frames_len` bytes of frames stand at HW_HEAD_ROOM of `record`, with
/// HW_TAIL_ROOM behind them. `written` says how many bytes of `record` go to the relay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_link_seal(
    link: *mut Link,
    record: *mut u8,
    record_size: usize,
    frames_len: usize,
    written: *mut usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut seal = || {
        let mut link = Held::of(&mut memory, link)?;
        let record = memory.edit(record, record_size)?;
        let written = memory.output(written, 0)?;
        match &mut *link {
            State::Up { sealer, .. } => {
                *written = sealer.seal(record, frames_len)?;
                Ok(())
            }
            State::Calling { .. } => Err(Status::State),
            State::Dead => Err(Status::Link),
        }
    };
    Status::of(seal())
}

/// Opens a record in place, without the length in front of it; `frames` is then where its frames
/// stand, inside the record. After one failure the link is dead.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_link_open(
    link: *mut Link,
    record: *mut u8,
    record_len: usize,
    frames: *mut *mut u8,
    frames_len: *mut usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut open = || {
        let mut link = Held::of(&mut memory, link)?;
        let record = memory.edit(record, record_len)?;
        let frames = memory.output(frames, core::ptr::null_mut())?;
        let frames_len = memory.output(frames_len, 0)?;
        let State::Up { opener, .. } = &mut *link else {
            return Err(match &*link {
                State::Dead => Status::Link,
                _ => Status::State,
            });
        };
        match opener.open(record) {
            Ok(plaintext) => {
                (*frames, *frames_len) = (plaintext.as_mut_ptr(), plaintext.len());
                Ok(())
            }
            Err(error) => {
                *link = State::Dead;
                Err(error.into())
            }
        }
    };
    Status::of(open())
}

/// Wipes the link's keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_link_wipe(link: *mut Link) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    Status::of(wipe(&mut memory, link))
}

/// The length of a frame inside a record stands in front of it: big-endian, this many bytes.
pub const HW_FRAME_PREFIX_LEN: usize = 2;

const _: () = assert!(HW_FRAME_PREFIX_LEN == frame::PREFIX_LEN);
