//! Sessions: started by either side, sealing, opening, stored and read back.
//!
//! Two orders hold here as they do in the core: a sealed message stands in the caller's buffer only
//! after the store call-back has taken the state behind it, and so does an opened one.

// In the header's order, which is this one.
pub mod start;

pub mod accept;

pub mod seal;

pub mod open;

pub mod state;

use hushwire_core::{
    evidence,
    identity::{Address, IdentityPublic},
    limits::DEVICE_MAX_SKIP,
    session::{self, Kind, Position},
    wire::{MessageId, envelope},
};

use crate::{
    context::{Held, context},
    env::{HW_SLOT_SESSION, World},
    identity::{HW_ADDRESS_LEN, HW_PUBLIC_LEN},
    memory::Plain,
    status::Status,
};

/// Words of 8 bytes in a session's context.
pub const HW_SESSION_WORDS: usize = 206;
/// Bytes that an envelope is longer than its padded body, at most: a session's first messages.
pub const HW_ENVELOPE_OVERHEAD: usize = 252;
/// Bytes of the envelope of a body of 1024 bytes, which every party takes: the buffer of a device.
pub const HW_ENVELOPE_MAX: usize = 1276;
/// Bytes of a message's id.
pub const HW_MESSAGE_ID_LEN: usize = 16;

/// A message that asks whether the peer holds the session. Empty. Answer it.
pub const HW_KIND_PROBE: u8 = 0;
/// User data.
pub const HW_KIND_DATA: u8 = 1;
/// The ids of messages that were recorded, 16 bytes each.
pub const HW_KIND_RECEIPT: u8 = 2;
/// Messages came that could not be opened: seal again what was not receipted. Empty.
pub const HW_KIND_RESEND: u8 = 3;
/// The sender holds the session; answers a probe. Empty.
pub const HW_KIND_ALIVE: u8 = 4;

/// A session in memory. Its context says which slot is its own.
///
/// cbindgen:ignore
pub(crate) type Inner = session::Session<DEVICE_MAX_SKIP>;

/// What lies in a session's context. The session is made in this place: a device's stack has no room
/// for another. It is none only inside of the call that makes it.
pub(crate) struct Slotted {
    slot: u32,
    session: Option<Inner>,
}

impl Slotted {
    const fn empty(slot: u32) -> Self {
        Self {
            slot,
            session: None,
        }
    }

    fn get(&self) -> Result<&Inner, Status> {
        self.session.as_ref().ok_or(Status::State)
    }

    fn get_mut(&mut self) -> Result<&mut Inner, Status> {
        self.session.as_mut().ok_or(Status::State)
    }
}

const _: () = {
    assert!(HW_ENVELOPE_OVERHEAD == envelope::OVERHEAD + envelope::START_LEN);
    assert!(HW_ENVELOPE_MAX == HW_ENVELOPE_OVERHEAD + hushwire_core::limits::BASE_BODY);
    assert!(HW_MESSAGE_ID_LEN == MessageId::LEN);
    assert!(HW_KIND_PROBE == Kind::PROBE.0 && HW_KIND_DATA == Kind::DATA.0);
    assert!(HW_KIND_RECEIPT == Kind::RECEIPT.0 && HW_KIND_RESEND == Kind::RESEND.0);
    assert!(HW_KIND_ALIVE == Kind::ALIVE.0);
};

/// A conversation with one peer. Zero it before first use; it may not be moved or copied.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Session {
    opaque: [u64; HW_SESSION_WORDS],
}

context!(Session holds Slotted, marked b"HWsessi1");

/// What is known of a peer. Keep one for each, beside its session.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Contact {
    /// Who it is: set by the program, from where the user trusts it.
    pub address: [u8; HW_ADDRESS_LEN],
    /// Both public keys, for the safety number: set by the calls that learn them.
    pub identity: [u8; HW_PUBLIC_LEN],
    /// Highest counter of its bundles so far, 0 at first: raised by hw_session_start().
    pub bundle_counter: u64,
}

// SAFETY: bytes and an integer.
unsafe impl Plain for Contact {}

impl Contact {
    fn address(&self) -> Address {
        Address(self.address)
    }

    fn learn(&mut self, identity: &IdentityPublic) {
        self.address = identity.address().0;
        self.identity = identity.bytes();
    }
}

/// One message, to be sealed or opened.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Message {
    /// Its body. Of an opened message it lies inside the envelope's buffer.
    pub body: *const u8,
    /// Bytes of the body.
    pub body_len: usize,
    /// 16 random bytes, the same each time the message is sealed: by it the recipient knows a
    /// message that comes twice.
    pub id: [u8; HW_MESSAGE_ID_LEN],
    /// Set by opening: messages before this one that can come no more.
    pub lost: u32,
    /// HW_KIND_DATA or another kind. Take note of unknown ones, and ack them.
    pub kind: u8,
    /// Set by opening: 1 where this may be a replay of a first message. It must execute nothing.
    pub replayable: u8,
}

// SAFETY: integers, bytes and a pointer.
unsafe impl Plain for Message {}

impl Message {
    pub(crate) const NONE: Self = Self {
        body: core::ptr::null(),
        body_len: 0,
        id: [0; HW_MESSAGE_ID_LEN],
        lost: 0,
        kind: 0,
        replayable: 0,
    };

    fn opened(opened: &session::Opened<'_>, replayable: bool) -> Self {
        let session::Content { kind, id, body } = opened.content;
        Self {
            body: body.as_ptr(),
            body_len: body.len(),
            id: id.0,
            lost: opened.lost,
            kind: kind.0,
            replayable: u8::from(replayable),
        }
    }
}

/// Slots below are the identity's and the prekeys'.
fn session_slot(slot: u32) -> Result<u32, Status> {
    if slot < HW_SLOT_SESSION {
        return Err(Status::Argument);
    }
    Ok(slot)
}

/// Stores a session, with the message that it opened; its reserved positions may be used then.
fn save(
    world: &mut World<'_>,
    slotted: &mut Slotted,
    message: Option<&Message>,
) -> Result<(), Status> {
    let slot = slotted.slot;
    evidence::after(
        slotted.get_mut()?,
        |session| {
            world.commit(slot, message, |record| {
                session.encode(Position::Reserved, record)
            })
        },
        |session, persisted| session.stored(persisted),
    )
}

/// What was opened by a live session is stored, and only then told. A failure leaves RAM ahead of
/// storage: the session takes no further call, and once restored opens the same bytes again.
fn save_opened(
    world: &mut World<'_>,
    slotted: &mut Held<Slotted>,
    message: Option<&Message>,
) -> Result<(), Status> {
    let saved = save(world, slotted, message);
    if saved.is_err() {
        slotted.spoil();
    }
    saved
}
