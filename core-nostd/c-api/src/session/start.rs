//! The side that writes first.

use hushwire_core::{
    crypto::{PublicKey, Software},
    handshake::Initiator,
    identity::{Address, IdentityKeys as _},
    limits::{BASE_BODY, MAX_BODY},
    wire::bundle::{Bundle, PrekeyVerified, Suites},
};

use super::{Contact, Session, Slotted, session_slot};
use crate::{
    context::{Held, Vacant},
    env::{Env, World},
    identity::Identity,
    memory::{Memory, Plain},
    status::Status,
};

/// A one-time prekey of a peer, as its relay hands it out.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct OneTimePrekey {
    /// Its number.
    pub id: u32,
    /// Its point.
    pub point: [u8; 33],
}

// SAFETY: an integer and bytes.
unsafe impl Plain for OneTimePrekey {}

#[inline(never)]
fn verified(bundle: &[u8], contact: &Contact) -> Result<PrekeyVerified, Status> {
    let parsed = Bundle::parse(bundle).map_err(|_| Status::Bundle)?;
    let verified = parsed.verify(&mut Software, &Address(contact.address))?;
    verified.not_behind(contact.bundle_counter, &Suites::OURS)?;
    Ok(verified)
}

/// Starts a session with `contact` out of its bundle, which is verified first: it must be the
/// address's, signed by it, and not older than one seen before. `one_time` is the prekey that the
/// relay hands out with it, or null. `max_body` is the largest body that this device takes.
///
/// Nothing is stored and nothing leaves yet: seal a message. Until the peer answers, each sealed
/// message carries the start, so that any of them may come first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_start(
    session: *mut Session,
    slot: u32,
    identity: *mut Identity,
    env: *const Env,
    contact: *mut Contact,
    bundle: *const u8,
    bundle_len: usize,
    one_time: *const OneTimePrekey,
    max_body: u16,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut start = || {
        let vacant = Vacant::claim(&mut memory, session)?;
        let slot = session_slot(slot)?;
        let mut identity = Held::of(&mut memory, identity)?;
        let mut world = World::drawing(&mut memory, env)?;
        let contact = memory.value_mut(contact)?;
        let bundle = memory.read(bundle, bundle_len)?;
        let one_time = if one_time.is_null() {
            None
        } else {
            Some(memory.value(one_time)?)
        };
        if !(BASE_BODY..=MAX_BODY).contains(&usize::from(max_body)) {
            return Err(Status::Argument);
        }
        let verified = verified(bundle, contact)?;
        let one_time = match one_time {
            Some(key) => Some((key.id, PublicKey::parse(&mut Software, &key.point)?)),
            None => None,
        };
        let own = *identity.public();
        let ready = Initiator::new(&own, &verified, max_body)?;
        let mut slotted = vacant.fill(Slotted::empty(slot));
        let started = ready.start_in(
            &mut Software,
            &mut world,
            &mut *identity,
            one_time,
            &mut slotted.session,
        );
        slotted.keep_if(world.healthy().and(started.map_err(Status::from)))?;
        contact.learn(verified.identity());
        contact.bundle_counter = verified.counter();
        Ok(())
    };
    Status::of(start())
}

/// Checks a bundle as hw_session_start() does, and says whose keys it shows, without starting
/// anything: to compare the safety number before the first word.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_bundle_verify(
    contact: *mut Contact,
    bundle: *const u8,
    bundle_len: usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut verify = || {
        let contact = memory.value_mut(contact)?;
        let bundle = memory.read(bundle, bundle_len)?;
        let verified = verified(bundle, contact)?;
        contact.learn(verified.identity());
        contact.bundle_counter = verified.counter();
        Ok(())
    };
    Status::of(verify())
}
