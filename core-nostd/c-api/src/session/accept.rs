//! The side that is written to.

use hushwire_core::{
    crypto::Software,
    handshake::{Received, SenderKnown},
    session::StartTag,
    wire::{
        EnvelopeId,
        envelope::{Envelope, Opening, Start},
    },
};

use super::{Contact, Message, Session, Slotted, save, session_slot};
use crate::{
    context::{Held, Vacant},
    env::{Env, World},
    identity::Identity,
    memory::{Memory, Plain},
    prekeys::{self, Prekeys},
    status::Status,
};

/// Bytes of an envelope's id.
pub const HW_ENVELOPE_ID_LEN: usize = 16;
/// Bytes of the tag that names a start.
pub const HW_START_TAG_LEN: usize = 8;

const _: () = {
    assert!(HW_ENVELOPE_ID_LEN == EnvelopeId::LEN);
    assert!(HW_START_TAG_LEN == StartTag::LEN);
};

/// What an envelope shows to everybody. Nothing of it is authentic.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EnvelopeInfo {
    /// Its id: what ack and refuse name. Ask before opening, which changes the envelope's bytes.
    pub id: [u8; HW_ENVELOPE_ID_LEN],
    /// Of a start, the tag of the session that it belongs to; else zeros.
    pub start_tag: [u8; HW_START_TAG_LEN],
    /// 1 where the envelope can start a session. Try hw_session_open() with the sender's sessions
    /// first: a first flight may repeat its start.
    pub is_start: u8,
}

// SAFETY: bytes.
unsafe impl Plain for EnvelopeInfo {}

/// Says what an envelope shows to everybody, before anything is opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_envelope_inspect(
    envelope: *const u8,
    envelope_len: usize,
    info: *mut EnvelopeInfo,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut inspect = || {
        let envelope = memory.read(envelope, envelope_len)?;
        let empty = EnvelopeInfo {
            id: [0; HW_ENVELOPE_ID_LEN],
            start_tag: [0; HW_START_TAG_LEN],
            is_start: 0,
        };
        let info = memory.output(info, empty)?;
        // What cannot be opened is refused by its id too.
        info.id = EnvelopeId::of(envelope).0;
        if let Opening::Start(start) = Envelope::parse(envelope)?.opening {
            info.is_start = 1;
            info.start_tag = *StartTag::of(start.ephemeral).bytes();
        }
        Ok(())
    };
    Status::of(inspect())
}

/// Says who the sender of a start claims to be: one agreement, before more is computed. Use it where
/// the sender is not known yet; whoever it names is proved by hw_session_accept() only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_start_sender(
    identity: *mut Identity,
    envelope: *const u8,
    envelope_len: usize,
    contact: *mut Contact,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut sender = || {
        let mut identity = Held::of(&mut memory, identity)?;
        let envelope = memory.read(envelope, envelope_len)?;
        let contact = memory.value_mut(contact)?;
        let start = start_of(envelope)?;
        let known = known(&mut identity, envelope, start)?;
        contact.learn(known.sender());
        Ok(())
    };
    Status::of(sender())
}

/// Accepts a start of `contact`: opens its first message in place and makes the session. The session
/// and the message are stored in one commit at `slot`, then the prekeys without the spent one (if
/// that second commit is lost, hw_session_restore() does it again).
///
/// An envelope of another sender than `contact`, of spent prekeys, or altered, is
/// HW_STATUS_UNOPENABLE: nothing came of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_accept(
    session: *mut Session,
    slot: u32,
    identity: *mut Identity,
    prekeys: *mut Prekeys,
    env: *const Env,
    contact: *mut Contact,
    envelope: *mut u8,
    envelope_len: usize,
    message: *mut Message,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut accept = || {
        let vacant = Vacant::claim(&mut memory, session)?;
        let slot = session_slot(slot)?;
        let mut identity = Held::of(&mut memory, identity)?;
        let mut prekeys = Held::of(&mut memory, prekeys)?;
        let mut world = World::storing(&mut memory, env)?;
        let contact = memory.value_mut(contact)?;
        let envelope = memory.edit(envelope, envelope_len)?;
        let message = memory.output(message, Message::NONE)?;

        let start = start_of(envelope)?;
        let (signed_id, one_time_id) = (start.signed_prekey_id, start.one_time_prekey_id);
        let known = known(&mut identity, envelope, start)?;
        let sender = *known.sender();
        if sender.address() != contact.address() {
            return Err(Status::Unopenable);
        }
        let signed = prekeys.signed(signed_id).ok_or(Status::Unopenable)?;
        let one_time = match one_time_id {
            Some(id) => {
                let pair = prekeys.one_time(&mut Software, id)?;
                Some((id, pair.ok_or(Status::Unopenable)?))
            }
            None => None,
        };
        let one_time = one_time.as_ref().map(|(id, pair)| (*id, pair));
        let accepted =
            known.accept(&mut Software, &mut *identity, (signed_id, signed), one_time)?;
        let mut slotted = vacant.fill(Slotted::empty(slot));
        let opened = accepted
            .open_in(&mut Software, &mut *envelope, &mut slotted.session)
            .map_err(Status::from)
            .and_then(|opened| Ok((opened, slotted.get()?.may_be_replayed())))
            .map(|(opened, replayable)| Message::opened(&opened, replayable));
        let opened = match opened {
            Ok(opened) => opened,
            Err(status) => return slotted.keep_if(Err(status)),
        };
        let stored = save(&mut world, &mut slotted, Some(&opened));
        if stored.is_err() {
            envelope.fill(0);
        }
        slotted.keep_if(stored)?;
        if one_time_id.is_some_and(|id| prekeys.spend(id)) {
            // Not the message's failure, which is stored: the session's record names the prekey.
            let _ = prekeys::save(&mut world, &prekeys);
        }
        contact.learn(&sender);
        *message = opened;
        Ok(())
    };
    Status::of(accept())
}

fn start_of(envelope: &[u8]) -> Result<Start<'_>, Status> {
    match Envelope::parse(envelope)?.opening {
        Opening::Start(start) => Ok(start),
        Opening::Message => Err(Status::Unopenable),
    }
}

#[inline(never)]
fn known<'e>(
    identity: &mut Held<hushwire_core::identity::SoftwareIdentity>,
    envelope: &'e [u8],
    start: Start<'e>,
) -> Result<SenderKnown<'e>, Status> {
    let received = Received::new(&mut Software, envelope, start)?;
    Ok(received.identify(&mut Software, &mut **identity)?)
}
