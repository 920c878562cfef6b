//! What a C program can get wrong is answered with a status, and costs nothing.
#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test calls several functions under one reason"
)]

mod device;

use core::ffi::c_char;
use std::{pin::Pin, ptr};

use device::{Device, PUBLIC_LEN, SLOT, body, zeroed};
use hushwire_c::{
    env::{Env, HW_SLOT_IDENTITY, HW_SLOT_PREKEYS},
    identity::*,
    link::*,
    prekeys::*,
    session::{HW_ENVELOPE_MAX, Message, Session, accept::*, open::*, seal::*, start::*, state::*},
    status::{Status, hw_status_text},
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// An argument that can be replaced by null.
trait OrNull: Copy {
    const IS_POINTER: bool;
    fn or_null(self, null: bool) -> Self;
}

impl<T> OrNull for *const T {
    const IS_POINTER: bool = true;
    fn or_null(self, null: bool) -> Self {
        if null { ptr::null() } else { self }
    }
}

impl<T> OrNull for *mut T {
    const IS_POINTER: bool = true;
    fn or_null(self, null: bool) -> Self {
        if null { ptr::null_mut() } else { self }
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl OrNull for $number {
            const IS_POINTER: bool = false;
            fn or_null(self, _: bool) -> Self {
                self
            }
        }
    )*};
}
numbers!(u16 u32 u64 usize);

fn is_pointer<T: OrNull>(_: T) -> bool {
    T::IS_POINTER
}

/// Calls with each pointer null in turn, those that may be null (by their place) aside, then calls
/// as it should be. The first calls must be refused, and must not keep the last from succeeding.
macro_rules! each_null {
    ($function:ident($($argument:expr),* $(,)?) $(, nullable $($nullable:literal)+)?) => {{
        let pointers = [$(is_pointer($argument)),*];
        let nullable: &[usize] = &[$($($nullable),+)?];
        for null in (0..pointers.len()).filter(|at| pointers[*at] && !nullable.contains(at)) {
            let mut at = 0..;
            // SAFETY: as the call below, or null.
            let status = unsafe {
                $function($($argument.or_null(at.next() == Some(null))),*)
            };
            assert_eq!(status, Status::Argument, "{} argument {null}", stringify!($function));
        }
        // SAFETY: every pointer is a device's own or a local's, with its length.
        let status = unsafe { $function($($argument),*) };
        assert_eq!(status, Status::Ok, stringify!($function));
    }};
}

type Pinned = Pin<Box<Device>>;

#[test]
fn null_is_refused_by_every_function() {
    let (mut alice, mut bob) = (Device::blank(1), Device::new(2));
    let d = alice.parts();
    each_null!(hw_identity_generate(d.identity, d.env));
    each_null!(hw_prekeys_generate(d.prekeys, d.env, 0_u64));
    each_null!(hw_prekeys_refill(d.prekeys, d.env));
    each_null!(hw_prekeys_outrun(d.prekeys, d.env, 5_u64));
    let (mut changed, mut count, mut len) = (0_u8, 0, 0);
    each_null!(hw_prekeys_rotate_if_due(
        d.prekeys,
        d.env,
        0_u64,
        &raw mut changed
    ));
    each_null!(hw_prekeys_unspent(d.prekeys, &raw mut count));
    let mut list = [0; HW_PREKEY_LIST_LEN];
    each_null!(hw_prekeys_list(d.prekeys, list.as_mut_ptr(), list.len(), &raw mut len), nullable 1);
    let mut bundle = [0; HW_BUNDLE_LEN];
    each_null!(hw_prekeys_bundle(
        d.prekeys,
        d.identity,
        d.env,
        1024_u16,
        bundle.as_mut_ptr()
    ));

    let (mut public, mut address) = ([0; PUBLIC_LEN], [0; HW_ADDRESS_LEN]);
    each_null!(hw_identity_public(d.identity, public.as_mut_ptr()));
    each_null!(hw_identity_address(d.identity, address.as_mut_ptr()));
    let mut text = [0 as c_char; HW_ADDRESS_TEXT_LEN];
    each_null!(hw_address_format(address.as_ptr(), text.as_mut_ptr()));
    let mut again = [0; HW_ADDRESS_LEN];
    each_null!(hw_address_parse(
        text.as_ptr(),
        43_usize,
        again.as_mut_ptr()
    ));
    assert_eq!(again, address);
    let mut other: Identity = zeroed();
    let seed = [1_u8; HW_SEED_LEN];
    each_null!(hw_identity_from_seed(&raw mut other, seed.as_ptr()));
    let mut theirs = [0; PUBLIC_LEN];
    each_null!(hw_identity_public(&raw mut other, theirs.as_mut_ptr()));
    let mut digits = [0 as c_char; HW_SAFETY_NUMBER_LEN];
    each_null!(hw_safety_number(
        public.as_ptr(),
        theirs.as_ptr(),
        digits.as_mut_ptr()
    ));
    each_null!(hw_identity_wipe(&raw mut other));

    sessions_refuse_null(&mut alice, &mut bob);
    links_refuse_null(&mut bob);
}

fn sessions_refuse_null(alice: &mut Pinned, bob: &mut Pinned) {
    alice.inside().contact.address = bob.address();
    let (bundle, one_time) = (bob.bundle(), bob.one_time());
    let (d, mut len) = (alice.parts(), 0);
    each_null!(hw_bundle_verify(d.contact, bundle.as_ptr(), bundle.len()));
    each_null!(
        hw_session_start(
            d.session,
            SLOT,
            d.identity,
            d.env,
            d.contact,
            bundle.as_ptr(),
            bundle.len(),
            &raw const one_time,
            1024_u16,
        ),
        nullable 7
    );
    each_null!(hw_session_sealed_len(d.session, 5_usize, &raw mut len));
    let mut message: Message = zeroed();
    (message.kind, message.body, message.body_len) = (1, b"hello".as_ptr(), 5);
    let mut envelope = [0; HW_ENVELOPE_MAX];
    each_null!(hw_session_seal(
        d.session,
        d.env,
        &raw const message,
        envelope.as_mut_ptr(),
        envelope.len(),
        &raw mut len,
    ));
    let mut info: EnvelopeInfo = zeroed();
    each_null!(hw_envelope_inspect(envelope.as_ptr(), len, &raw mut info), nullable 0);
    let mut session_info: SessionInfo = zeroed();
    each_null!(hw_session_inspect(d.session, &raw mut session_info));

    let (b, mut opened): (_, Message) = (bob.parts(), zeroed());
    each_null!(hw_start_sender(
        b.identity,
        envelope.as_ptr(),
        len,
        b.contact
    ));
    each_null!(hw_session_accept(
        b.session,
        SLOT,
        b.identity,
        b.prekeys,
        b.env,
        b.contact,
        envelope.as_mut_ptr(),
        len,
        &raw mut opened,
    ));
    assert_eq!(body(&opened), b"hello");
    let mut next = alice.seal(b"next").unwrap();
    each_null!(hw_session_open(
        b.session,
        b.env,
        next.as_mut_ptr(),
        next.len(),
        &raw mut opened
    ));
    each_null!(hw_session_close(b.session, b.env));

    let flash = bob.inside().world.flash.clone();
    let copy = |slot| flash[&slot].clone();
    let (mut identity, mut prekeys, mut session) =
        (copy(HW_SLOT_IDENTITY), copy(HW_SLOT_PREKEYS), copy(SLOT));
    each_null!(hw_session_wipe(b.session));
    each_null!(hw_prekeys_wipe(b.prekeys));
    each_null!(hw_identity_wipe(b.identity));
    // A record of no bytes is no null, and is refused as a record.
    let len = identity.len();
    each_null!(hw_identity_restore(
        b.identity,
        b.env,
        identity.as_mut_ptr(),
        len
    ));
    let len = prekeys.len();
    each_null!(hw_prekeys_restore(
        b.prekeys,
        b.env,
        prekeys.as_mut_ptr(),
        len
    ));
    let (at, len) = (session.as_mut_ptr(), session.len());
    each_null!(hw_session_restore(b.session, SLOT, b.prekeys, b.env, at, len), nullable 2);
}

fn links_refuse_null(device: &mut Pinned) {
    use hushwire_core::{
        crypto::{KeyPair, Software},
        link::{self, Responder},
    };
    let rng = &mut ChaCha20Rng::from_seed([8; 32]);
    let key = KeyPair::generate(&mut Software, rng).unwrap();
    let limits = LinkLimits {
        max_record: 1400,
        max_frame: 1382,
        window: 1,
    };
    let (d, mut first) = (device.parts(), [0; HW_FLIGHT_1_LEN]);
    let relay_key = key.public().bytes();
    each_null!(hw_link_start(
        d.link,
        d.env,
        relay_key.as_ptr(),
        &raw const limits,
        first.as_mut_ptr(),
    ));
    let mut second = [0; HW_FLIGHT_2_LEN];
    let (preamble, message) = first.split_first_chunk().unwrap();
    let _ = Responder::greet(preamble)
        .unwrap()
        .read_message_1(&mut Software, &key, &message[2..])
        .unwrap()
        .write_message_2(
            &mut Software,
            rng,
            link::LinkLimits::new(1400, 1382, 1).unwrap(),
            &mut second,
        )
        .unwrap();
    let (mut third, mut peer) = ([0; HW_FLIGHT_3_LEN], limits);
    each_null!(
        hw_link_finish(
            d.link,
            d.identity,
            second.as_ptr(),
            third.as_mut_ptr(),
            &raw mut peer,
        ),
        nullable 4
    );
    let (mut record, mut len) = ([0_u8; 64], 0);
    each_null!(hw_link_seal(
        d.link,
        record.as_mut_ptr(),
        64_usize,
        10_usize,
        &raw mut len
    ));
    each_null!(hw_link_next(
        d.link,
        record.as_ptr(),
        64_usize,
        &raw mut len
    ));
    let (mut frames, mut frames_len) = (ptr::null_mut(), 0);
    // SAFETY: the device's own link, a buffer with its length, and null or locals.
    unsafe {
        let at = record.as_mut_ptr();
        let open = |link, at, frames, len| hw_link_open(link, at, 28, frames, len);
        assert_eq!(
            open(ptr::null_mut(), at, &raw mut frames, &raw mut frames_len),
            Status::Argument
        );
        assert_eq!(
            open(d.link, at, ptr::null_mut(), &raw mut frames_len),
            Status::Argument
        );
        assert_eq!(
            open(d.link, at, &raw mut frames, ptr::null_mut()),
            Status::Argument
        );
        // Those were the caller's errors: the link lives. Its own record coming back kills it.
        assert_eq!(
            open(d.link, at, &raw mut frames, &raw mut frames_len),
            Status::Link
        );
        assert_eq!(hw_link_seal(d.link, at, 64, 10, &raw mut len), Status::Link);
    }
    each_null!(hw_link_wipe(d.link));
}

#[test]
fn call_backs_and_keys_that_are_missing_are_refused() {
    let mut device = Device::blank(1);
    let d = device.parts();
    let without: [fn(&mut Env); 3] = [
        |env| env.random = None,
        |env| env.store = None,
        |env| env.storage_key = ptr::null(),
    ];
    for take in without {
        // SAFETY: an Env is Copy, and the device's own.
        let mut env = unsafe { *d.env };
        take(&mut env);
        // SAFETY: the device's own identity and a local.
        let status = unsafe { hw_identity_generate(d.identity, &raw const env) };
        assert_eq!(status, Status::Argument);
    }
    assert!(device.inside().world.flash.is_empty());
}

#[test]
fn a_context_in_the_wrong_state_is_refused() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    assert_eq!(alice.seal(b"no session").err(), Some(Status::State));
    assert_eq!(alice.start(&mut bob, true), Status::Ok);
    assert_eq!(
        alice.start(&mut bob, true),
        Status::State,
        "a live session is not replaced"
    );
    let d = alice.parts();
    // SAFETY: the device's own contexts; a copy of one, garbage, and one of another kind, each as
    // large as the function takes it to be and initialised.
    unsafe {
        assert_eq!(hw_identity_generate(d.identity, d.env), Status::State);
        let mut copy: Session = *d.session;
        let mut info = zeroed();
        assert_eq!(
            hw_session_inspect(&raw mut copy, &raw mut info),
            Status::State
        );
        assert_eq!(hw_session_wipe(&raw mut copy), Status::State);
        let mut garbage: Session = zeroed();
        (&raw mut garbage)
            .cast::<u8>()
            .write_bytes(0xa5, size_of::<Session>());
        assert_eq!(
            hw_session_inspect(&raw mut garbage, &raw mut info),
            Status::State
        );
        assert_eq!(
            hw_prekeys_wipe(d.session.cast()),
            Status::State,
            "another kind"
        );
        assert_eq!(hw_session_inspect(d.session, &raw mut info), Status::Ok);
        assert_eq!(hw_session_wipe(d.session), Status::Ok);
        assert_eq!(hw_session_wipe(d.session), Status::Ok, "wiped already");
        assert_eq!(
            hw_session_inspect(d.session, &raw mut info),
            Status::State,
            "wiped"
        );
        let words = core::slice::from_raw_parts(d.session.cast::<u64>(), size_of::<Session>() / 8);
        assert!(words.iter().all(|word| *word == 0), "nothing stays behind");
    }
}

#[test]
fn buffers_too_small_say_what_is_needed() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    assert_eq!(alice.start(&mut bob, true), Status::Ok);
    let mut message: Message = zeroed();
    (message.body, message.body_len) = (b"hello".as_ptr(), 5);
    let (d, mut out, mut len) = (alice.parts(), [0xee; HW_ENVELOPE_MAX], 0);
    let mut seal = |size, len: *mut usize| {
        // SAFETY: the device's own contexts, a message and a buffer that live longer.
        unsafe {
            hw_session_seal(
                d.session,
                d.env,
                &raw const message,
                out.as_mut_ptr(),
                size,
                len,
            )
        }
    };
    for size in [0, 1, 100, 283] {
        assert_eq!(seal(size, &raw mut len), Status::Buffer);
        assert_eq!(len, 284);
    }
    assert_eq!(seal(284, &raw mut len), Status::Ok);
    message.body_len = usize::MAX;
    // SAFETY: as above; the length is refused before anything is read.
    let status = unsafe {
        let out = out.as_mut_ptr();
        hw_session_seal(d.session, d.env, &raw const message, out, 284, &raw mut len)
    };
    assert_eq!(status, Status::Argument);
    let long = [0; 1025];
    (message.body, message.body_len) = (long.as_ptr(), long.len());
    // SAFETY: as above.
    let status = unsafe {
        let out = out.as_mut_ptr();
        hw_session_seal(d.session, d.env, &raw const message, out, 284, &raw mut len)
    };
    assert_eq!(status, Status::TooLarge);
    assert_eq!(
        alice.inside().world.commits.len(),
        3,
        "identity, prekeys, one message"
    );
}

#[test]
fn arguments_that_overlap_are_refused() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    assert_eq!(alice.start(&mut bob, true), Status::Ok);
    let (d, mut buffer, mut len) = (alice.parts(), [0x5a; HW_ENVELOPE_MAX], 0);
    let mut message: Message = zeroed();
    // The body stands in the buffer that the envelope is to be written to.
    (message.body, message.body_len) = (buffer[40..].as_ptr(), 5);
    // SAFETY: the overlap is what is to be refused, before anything of it is used.
    unsafe {
        let out = buffer.as_mut_ptr();
        let seal = |out, len| {
            hw_session_seal(
                d.session,
                d.env,
                &raw const message,
                out,
                HW_ENVELOPE_MAX,
                len,
            )
        };
        assert_eq!(seal(out, &raw mut len), Status::Argument);
        assert_eq!(
            hw_session_open(d.session, d.env, d.session.cast(), 300, &raw mut message),
            Status::Argument
        );
        assert_eq!(
            hw_identity_public(d.identity, d.identity.cast()),
            Status::Argument
        );
    }
    assert!(buffer.iter().all(|byte| *byte == 0x5a), "untouched");
}

#[test]
fn records_open_in_their_own_place_only() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    assert_eq!(alice.start(&mut bob, true), Status::Ok);
    alice.seal(b"stored").unwrap();
    let record = alice.inside().world.flash[&SLOT].clone();
    let mut session: Session = zeroed();
    let (d, at) = (alice.parts(), &raw mut session);
    let restore = |env: *const Env, slot, record: &[u8]| {
        let mut record = record.to_vec();
        let (bytes, len) = (record.as_mut_ptr(), record.len());
        // SAFETY: a local session, the device's own contexts, and a buffer with its length.
        let status = unsafe { hw_session_restore(at, slot, d.prekeys, env, bytes, len) };
        let text = record
            .windows(8)
            .filter(|window| window.iter().all(|byte| *byte == 0))
            .count();
        (status, text > 100)
    };
    // SAFETY: an Env is Copy, and the device's own.
    let own = unsafe { *d.env };
    let later = Env { epoch: 1, ..own };
    let key = [9; 32];
    let foreign = Env {
        storage_key: key.as_ptr(),
        ..own
    };
    assert_eq!(
        restore(&raw const later, SLOT, &record),
        (Status::Record, false)
    );
    assert_eq!(
        restore(&raw const foreign, SLOT, &record),
        (Status::Record, false)
    );
    assert_eq!(restore(d.env, SLOT + 1, &record), (Status::Record, false));
    assert_eq!(
        restore(d.env, HW_SLOT_PREKEYS, &record),
        (Status::Argument, false)
    );
    assert_eq!(
        restore(d.env, SLOT, &record[..record.len() - 1]),
        (Status::Record, false)
    );
    assert_eq!(restore(d.env, SLOT, &[]), (Status::Record, false));
    let mut damaged = record.clone();
    damaged[100] ^= 1;
    assert_eq!(restore(d.env, SLOT, &damaged), (Status::Record, false));
    assert_eq!(
        restore(d.env, SLOT, &record),
        (Status::Ok, true),
        "and no plaintext stays"
    );
    // SAFETY: the local session.
    assert_eq!(unsafe { hw_session_wipe(at) }, Status::Ok);
}

#[test]
fn bundles_that_lie_are_refused() {
    let (mut alice, mut bob, mut carol) = (Device::new(1), Device::new(2), Device::new(3));
    let old = bob.bundle();
    let d = bob.parts();
    // SAFETY: the device's own contexts.
    let outrun = unsafe { hw_prekeys_outrun(d.prekeys, d.env, u64::from(u32::MAX)) };
    assert_eq!(outrun, Status::Ok);
    let new = bob.bundle();
    alice.inside().contact.address = bob.address();
    let a = alice.parts();
    let verify = |bundle: &[u8]| {
        // SAFETY: the device's own contact, and a slice with its length.
        unsafe { hw_bundle_verify(a.contact, bundle.as_ptr(), bundle.len()) }
    };
    assert_eq!(verify(&carol.bundle()), Status::Bundle);
    assert_eq!(verify(&new[..212]), Status::Bundle);
    assert_eq!(verify(&[]), Status::Bundle);
    assert_eq!(verify(&new), Status::Ok);
    assert_eq!(verify(&old), Status::RolledBack);
    assert_eq!(verify(&new), Status::Ok);
    // A relay that shows us our own.
    assert_eq!(alice.start_with_own_bundle(), Status::OwnKey);
}

impl OwnBundle for Pinned {
    fn start_with_own_bundle(&mut self) -> Status {
        self.inside().contact = zeroed();
        self.inside().contact.address = self.address();
        let (bundle, d) = (self.bundle(), self.parts());
        // SAFETY: the device's own contexts, an array with its length, and null where it may be.
        unsafe {
            hw_session_start(
                d.session,
                SLOT,
                d.identity,
                d.env,
                d.contact,
                bundle.as_ptr(),
                bundle.len(),
                ptr::null(),
                1024,
            )
        }
    }
}

trait OwnBundle {
    fn start_with_own_bundle(&mut self) -> Status;
}

#[test]
fn every_status_has_a_text() {
    for status in -1..20 {
        // SAFETY: the library's texts are C strings that live for ever.
        let text = unsafe { core::ffi::CStr::from_ptr(hw_status_text(status)) };
        assert!(!text.is_empty());
    }
}
