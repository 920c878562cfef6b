//! Sessions as a device holds them: started by either side, sealing, opening, stored and read back.

use core::hint::black_box;

use hushwire_core::crypto::{KeyPair, P256, PublicKey};
use hushwire_core::evidence::after;
use hushwire_core::handshake::{Initiator, Received};
use hushwire_core::identity::{Address, IdentityKeys as _, SoftwareIdentity};
use hushwire_core::limits::DEVICE_MAX_SKIP;
use hushwire_core::session::{Content, Kind, Opened, Position, Session};
use hushwire_core::wire::MessageId;
use hushwire_core::wire::bundle::Bundle;
use hushwire_core::wire::envelope::{Envelope, Opening};

use crate::input::{Counter, array, bytes};

type DeviceSession = Session<DEVICE_MAX_SKIP>;

/// Both ways to a session, and everything that one does.
#[inline(never)]
pub fn exercise<B: P256 + Copy>(mut curve: B) -> Option<()> {
    let mut identity = SoftwareIdentity::from_seed(&mut curve, &array()).ok()?;
    let mut place = None;
    initiate(curve, &mut identity, &mut place)?;
    use_session(curve, place.as_mut()?)?;
    respond(curve, &mut identity, &mut place)?;
    use_session(curve, place.as_mut()?)
}

#[inline(never)]
fn initiate(
    mut curve: impl P256,
    identity: &mut SoftwareIdentity,
    place: &mut Option<DeviceSession>,
) -> Option<()> {
    let owner = Address(array());
    let verified = Bundle::parse(bytes())
        .ok()?
        .verify(&mut curve, &owner)
        .ok()?;
    let own = *identity.public();
    let prekey = PublicKey::parse(&mut curve, &array()).ok()?;
    let prekey = black_box(Some((black_box(1), prekey)));
    let ready = Initiator::new(&own, &verified, black_box(1024)).ok()?;
    ready
        .start_in(&mut curve, &mut Counter, identity, prekey, place)
        .ok()
}

#[inline(never)]
fn respond(
    mut curve: impl P256,
    identity: &mut SoftwareIdentity,
    place: &mut Option<DeviceSession>,
) -> Option<()> {
    let signed = KeyPair::generate(&mut curve, &mut Counter).ok()?;
    let one_time = KeyPair::generate(&mut curve, &mut Counter).ok()?;
    let mut envelope = array::<512>();
    let Opening::Start(start) = Envelope::parse(&envelope).ok()?.opening else {
        return None;
    };
    let received = Received::new(&mut curve, &envelope, start).ok()?;
    let sender = received.identify(&mut curve, identity).ok()?;
    black_box(sender.sender());
    let one_time = black_box(Some((black_box(1), &one_time)));
    let signed = (black_box(1), &signed);
    let accepted = sender.accept(&mut curve, identity, signed, one_time).ok()?;
    read(&accepted.open_in(&mut curve, &mut envelope, place).ok()?);
    Some(())
}

#[inline(never)]
fn use_session(mut curve: impl P256, session: &mut DeviceSession) -> Option<()> {
    let mut envelope = array::<512>();
    read(&session.open(&mut curve, &mut envelope).ok()?);
    let content = Content {
        kind: Kind(black_box(1)),
        id: MessageId(array()),
        body: bytes(),
    };
    let sealed = session
        .seal(&mut curve, &mut Counter, &content, &mut envelope)
        .ok()?;
    let mut record = [0; DeviceSession::MAX_ENCODED];
    let store = |session: &mut DeviceSession| {
        session
            .encode(black_box(Position::Reserved), &mut record)
            .map(drop)
    };
    let sent = after(session, store, |session, evidence| {
        session.stored(evidence);
        sealed.release(evidence)
    });
    black_box(sent.ok()?);
    black_box(DeviceSession::decode(&record).ok()?.may_be_replayed());
    Some(())
}

fn read(opened: &Opened<'_>) {
    black_box((opened.content.kind, opened.content.id, opened.content.body));
    black_box((opened.stepped, opened.lost));
}
