//! A device as a C program would hold it, in Rust: contexts in place, call-backs that can be broken.
#![allow(dead_code, reason = "each test uses the part that it needs")]

use std::{collections::HashMap, ffi::c_void, marker::PhantomPinned, mem::MaybeUninit, pin::Pin};

use hushwire_c::{
    HW_STORAGE_KEY_LEN,
    env::{Commit, Env, HW_SLOT_IDENTITY, HW_SLOT_PREKEYS},
    identity::{
        HW_ADDRESS_LEN, HW_PUBLIC_LEN, Identity, hw_identity_address, hw_identity_generate,
        hw_identity_restore,
    },
    link::Link,
    prekeys::{
        HW_BUNDLE_LEN, HW_PREKEY_LIST_LEN, Prekeys, hw_prekeys_bundle, hw_prekeys_generate,
        hw_prekeys_list, hw_prekeys_restore,
    },
    session::{
        Contact, HW_ENVELOPE_MAX, HW_KIND_DATA, Message, Session,
        accept::hw_session_accept,
        open::hw_session_open,
        seal::hw_session_seal,
        start::{OneTimePrekey, hw_session_start},
        state::hw_session_restore,
    },
    status::Status,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// The session's slot.
pub(crate) const SLOT: u32 = 2;

static STORAGE_KEY: [u8; HW_STORAGE_KEY_LEN] = [7; HW_STORAGE_KEY_LEN];

/// How the random call-back behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Random {
    Healthy,
    Fails,
    Stuck(u8),
    WritesNothing,
}

/// What the call-backs see.
pub(crate) struct World {
    pub(crate) rng: ChaCha20Rng,
    pub(crate) random: Random,
    /// Records by slot, as flash keeps them.
    pub(crate) flash: HashMap<u32, Vec<u8>>,
    pub(crate) inbox: Vec<Vec<u8>>,
    /// Every commit's slot, and whether a message came with it.
    pub(crate) commits: Vec<(u32, bool)>,
    /// The commit after so many fails, and those after it.
    pub(crate) stores_left: usize,
    /// Called inside of the store call-back.
    pub(crate) meddle: Option<fn(*mut c_void) -> Status>,
    pub(crate) meddled: Vec<Status>,
    pub(crate) target: *mut c_void,
}

/// A device. Its contexts stay where they are.
pub(crate) struct Device {
    pub(crate) identity: Identity,
    pub(crate) prekeys: Prekeys,
    pub(crate) session: Session,
    pub(crate) link: Link,
    pub(crate) contact: Contact,
    pub(crate) world: World,
    pub(crate) env: Env,
    _pinned: PhantomPinned,
}

unsafe extern "C" fn random(context: *mut c_void, out: *mut u8, len: usize) -> i32 {
    // SAFETY: `Device::new` gave this pointer, and the library's buffer is `len` bytes.
    let (world, out) = unsafe {
        let out = core::slice::from_raw_parts_mut(out, len);
        (&mut *context.cast::<World>(), out)
    };
    match world.random {
        Random::Healthy => world.rng.fill_bytes(out),
        Random::Fails => {
            // It gives bytes too, which are not to be taken.
            world.rng.fill_bytes(out);
            return -1;
        }
        Random::Stuck(byte) => out.fill(byte),
        Random::WritesNothing => {}
    }
    0
}

unsafe extern "C" fn store(context: *mut c_void, commit: *const Commit) -> i32 {
    // SAFETY: `Device::new` gave the first pointer; the library's commit lives for this call.
    let (world, commit) = unsafe { (&mut *context.cast::<World>(), &*commit) };
    if let Some(meddle) = world.meddle {
        let status = meddle(world.target);
        world.meddled.push(status);
    }
    if world.stores_left == 0 {
        return -1;
    }
    world.stores_left -= 1;
    // SAFETY: what the library points to lives for this call.
    let (record, message) = unsafe {
        let record = core::slice::from_raw_parts(commit.record, commit.record_len);
        (record.to_vec(), commit.message.as_ref())
    };
    world.flash.insert(commit.slot, record);
    world.commits.push((commit.slot, message.is_some()));
    if let Some(message) = message {
        world.inbox.push(body(message));
    }
    0
}

/// A message's body.
pub(crate) fn body(message: &Message) -> Vec<u8> {
    // SAFETY: the library's message points into a buffer that lives as long.
    unsafe { core::slice::from_raw_parts(message.body, message.body_len) }.to_vec()
}

/// A context or structure as C's `= {0}` makes it.
pub(crate) fn zeroed<T>() -> T {
    // SAFETY: used for structures of integers, bytes and raw pointers only.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

impl Device {
    /// With identity and prekeys.
    pub(crate) fn new(seed: u8) -> Pin<Box<Self>> {
        let mut device = Self::blank(seed);
        let d = device.parts();
        // SAFETY: every pointer is the device's own.
        unsafe {
            assert_eq!(hw_identity_generate(d.identity, d.env), Status::Ok);
            assert_eq!(hw_prekeys_generate(d.prekeys, d.env, 0), Status::Ok);
        }
        device
    }

    /// Before its first boot.
    pub(crate) fn blank(seed: u8) -> Pin<Box<Self>> {
        let mut device = Box::pin(Self {
            identity: zeroed(),
            prekeys: zeroed(),
            session: zeroed(),
            link: zeroed(),
            contact: zeroed(),
            world: World {
                rng: ChaCha20Rng::from_seed([seed; 32]),
                random: Random::Healthy,
                flash: HashMap::new(),
                inbox: Vec::new(),
                commits: Vec::new(),
                stores_left: usize::MAX,
                meddle: None,
                meddled: Vec::new(),
                target: core::ptr::null_mut(),
            },
            env: zeroed(),
            _pinned: PhantomPinned,
        });
        let inside = device.inside();
        inside.env = Env {
            context: (&raw mut inside.world).cast(),
            random: Some(random),
            store: Some(store),
            storage_key: STORAGE_KEY.as_ptr(),
            epoch: 0,
        };
        device
    }

    pub(crate) fn inside(self: &mut Pin<Box<Self>>) -> &mut Self {
        // SAFETY: nothing is moved out of the device.
        unsafe { self.as_mut().get_unchecked_mut() }
    }

    /// Pointers to everything, as C code holds them.
    pub(crate) fn parts(self: &mut Pin<Box<Self>>) -> Parts {
        let inside = self.inside();
        Parts {
            identity: &raw mut inside.identity,
            prekeys: &raw mut inside.prekeys,
            session: &raw mut inside.session,
            link: &raw mut inside.link,
            contact: &raw mut inside.contact,
            world: &raw mut inside.world,
            env: &raw const inside.env,
        }
    }

    pub(crate) fn address(self: &mut Pin<Box<Self>>) -> [u8; HW_ADDRESS_LEN] {
        let mut address = [0; HW_ADDRESS_LEN];
        let d = self.parts();
        // SAFETY: the device's own identity, and an array of the size that is asked for.
        let status = unsafe { hw_identity_address(d.identity, address.as_mut_ptr()) };
        assert_eq!(status, Status::Ok);
        address
    }

    pub(crate) fn bundle(self: &mut Pin<Box<Self>>) -> [u8; HW_BUNDLE_LEN] {
        let mut bundle = [0; HW_BUNDLE_LEN];
        let d = self.parts();
        // SAFETY: the device's own contexts, and an array of the size that is asked for.
        let status =
            unsafe { hw_prekeys_bundle(d.prekeys, d.identity, d.env, 1024, bundle.as_mut_ptr()) };
        assert_eq!(status, Status::Ok);
        bundle
    }

    pub(crate) fn one_time(self: &mut Pin<Box<Self>>) -> OneTimePrekey {
        let (mut list, mut len) = ([0; HW_PREKEY_LIST_LEN], 0);
        let d = self.parts();
        // SAFETY: the device's own prekeys, an array with its length, and a local.
        let status =
            unsafe { hw_prekeys_list(d.prekeys, list.as_mut_ptr(), list.len(), &raw mut len) };
        assert_eq!(status, Status::Ok);
        OneTimePrekey {
            id: u32::from_be_bytes(list[..4].try_into().unwrap()),
            point: list[4..37].try_into().unwrap(),
        }
    }

    /// Starts a session with `peer`, with or without one of its one-time prekeys.
    pub(crate) fn start(
        self: &mut Pin<Box<Self>>,
        peer: &mut Pin<Box<Self>>,
        with_one_time: bool,
    ) -> Status {
        self.inside().contact.address = peer.address();
        let (bundle, one_time) = (peer.bundle(), peer.one_time());
        let one_time = if with_one_time {
            &raw const one_time
        } else {
            core::ptr::null()
        };
        let d = self.parts();
        // SAFETY: the device's own contexts, a bundle with its length, and null or a local.
        unsafe {
            hw_session_start(
                d.session,
                SLOT,
                d.identity,
                d.env,
                d.contact,
                bundle.as_ptr(),
                bundle.len(),
                one_time,
                1024,
            )
        }
    }

    pub(crate) fn seal(self: &mut Pin<Box<Self>>, body: &[u8]) -> Result<Vec<u8>, Status> {
        let mut message: Message = zeroed();
        self.inside().world.rng.fill_bytes(&mut message.id);
        message.kind = HW_KIND_DATA;
        (message.body, message.body_len) = (body.as_ptr(), body.len());
        let (mut out, mut len) = (vec![0xee; HW_ENVELOPE_MAX], usize::MAX);
        let d = self.parts();
        // SAFETY: the device's own contexts, a message and a buffer that live longer, a local.
        let status = unsafe {
            hw_session_seal(
                d.session,
                d.env,
                &raw const message,
                out.as_mut_ptr(),
                out.len(),
                &raw mut len,
            )
        };
        if status != Status::Ok {
            assert!(
                out.iter().all(|byte| *byte == 0 || *byte == 0xee),
                "nothing comes out"
            );
            return Err(status);
        }
        out.truncate(len);
        Ok(out)
    }

    pub(crate) fn open(self: &mut Pin<Box<Self>>, envelope: &[u8]) -> Result<Message, Status> {
        let (mut envelope, mut message) = (envelope.to_vec(), zeroed());
        let d = self.parts();
        // SAFETY: the device's own contexts, a buffer with its length, and a local.
        let status = unsafe {
            hw_session_open(
                d.session,
                d.env,
                envelope.as_mut_ptr(),
                envelope.len(),
                &raw mut message,
            )
        };
        Self::told(status, message, envelope)
    }

    pub(crate) fn accept(
        self: &mut Pin<Box<Self>>,
        peer: &mut Pin<Box<Self>>,
        envelope: &[u8],
    ) -> Result<Message, Status> {
        self.inside().contact.address = peer.address();
        let (mut envelope, mut message) = (envelope.to_vec(), zeroed());
        let d = self.parts();
        // SAFETY: the device's own contexts, a buffer with its length, and a local.
        let status = unsafe {
            hw_session_accept(
                d.session,
                SLOT,
                d.identity,
                d.prekeys,
                d.env,
                d.contact,
                envelope.as_mut_ptr(),
                envelope.len(),
                &raw mut message,
            )
        };
        Self::told(status, message, envelope)
    }

    /// The envelope's buffer lives on, as a C program's does: the message points into it.
    fn told(status: Status, message: Message, envelope: Vec<u8>) -> Result<Message, Status> {
        match status {
            Status::Ok => {
                envelope.leak();
                Ok(message)
            }
            status => {
                assert!(message.body.is_null(), "nothing is told of what failed");
                Err(status)
            }
        }
    }

    /// Power is cut: RAM is gone, flash stays. Then it boots.
    pub(crate) fn power_cut(self: &mut Pin<Box<Self>>) -> Status {
        let inside = self.inside();
        (inside.identity, inside.prekeys) = (zeroed(), zeroed());
        (inside.session, inside.link) = (zeroed(), zeroed());
        let d = self.parts();
        let flash = self.inside().world.flash.clone();
        let record = |slot: u32| flash.get(&slot).cloned().unwrap_or_default();
        let (mut identity, mut prekeys) = (record(HW_SLOT_IDENTITY), record(HW_SLOT_PREKEYS));
        let mut session = record(SLOT);
        // SAFETY: the device's own contexts, and buffers with their lengths.
        unsafe {
            let (at, len) = (identity.as_mut_ptr(), identity.len());
            assert_eq!(hw_identity_restore(d.identity, d.env, at, len), Status::Ok);
            let (at, len) = (prekeys.as_mut_ptr(), prekeys.len());
            assert_eq!(hw_prekeys_restore(d.prekeys, d.env, at, len), Status::Ok);
            let (at, len) = (session.as_mut_ptr(), session.len());
            if session.is_empty() {
                return Status::Ok;
            }
            hw_session_restore(d.session, SLOT, d.prekeys, d.env, at, len)
        }
    }
}

/// Pointers to all of a device.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) identity: *mut Identity,
    pub(crate) prekeys: *mut Prekeys,
    pub(crate) session: *mut Session,
    pub(crate) link: *mut Link,
    pub(crate) contact: *mut Contact,
    pub(crate) world: *mut World,
    pub(crate) env: *const Env,
}

/// The public keys' length, for callers that only import this module.
pub(crate) const PUBLIC_LEN: usize = HW_PUBLIC_LEN;
