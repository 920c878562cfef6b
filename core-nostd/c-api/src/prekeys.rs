//! Prekeys: what others need so that they can write first.

use hushwire_core::{
    crypto::Software,
    identity::IdentityKeys as _,
    limits::{BASE_BODY, MAX_BODY},
    prekey,
    wire::bundle::{self, BundleFields},
};
use rand_core::TryRng as _;

use crate::{
    context::{Held, Vacant, context, wipe},
    env::{Env, HW_SLOT_PREKEYS, World},
    identity::Identity,
    memory::Memory,
    status::Status,
};

/// One-time prekeys on offer at a time.
pub const HW_ONE_TIME_PREKEYS: usize = 8;
/// Words of 8 bytes in the prekeys' context.
pub const HW_PREKEYS_WORDS: usize = 95;
/// Bytes of a bundle.
pub const HW_BUNDLE_LEN: usize = 213;
/// Bytes of the list of one-time prekeys on offer, at most.
pub const HW_PREKEY_LIST_LEN: usize = 296;

/// The prekeys in memory.
///
/// cbindgen:ignore
pub(crate) type Own = prekey::Prekeys<HW_ONE_TIME_PREKEYS>;

const _: () = {
    assert!(HW_BUNDLE_LEN == bundle::len(1));
    assert!(HW_PREKEY_LIST_LEN == Own::LIST_LEN);
};

/// This device's own prekeys. Zero it before first use; it may not be moved or copied.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Prekeys {
    opaque: [u64; HW_PREKEYS_WORDS],
}

context!(Prekeys holds Own, marked b"HWpreke1");

/// Stores the prekeys: nobody may be given a key that a loss of power would take from us.
pub(crate) fn save(world: &mut World<'_>, prekeys: &Own) -> Result<(), Status> {
    world.commit(HW_SLOT_PREKEYS, None, |record| prekeys.encode(record))
}

/// Changes live prekeys and stores them. Where that fails they take no further call: their bundle
/// would name a key that a loss of power takes from us.
fn change(
    prekeys: &mut Held<Own>,
    world: &mut World<'_>,
    work: impl FnOnce(&mut Own, &mut World<'_>) -> Result<(), Status>,
) -> Result<(), Status> {
    let worked = work(prekeys, world);
    let done = world.healthy().and(worked);
    let stored = done.and_then(|()| save(world, prekeys));
    if stored.is_err() {
        prekeys.spoil();
    }
    stored
}

/// Makes the first signed prekey and a set of one-time prekeys, and stores them. `now_ms` is the
/// device's own running time, persisted over its starts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_generate(
    prekeys: *mut Prekeys,
    env: *const Env,
    now_ms: u64,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut generate = || {
        let vacant = Vacant::claim(&mut memory, prekeys)?;
        let mut world = World::storing(&mut memory, env)?;
        let made = Own::generate(&mut Software, &mut world, now_ms);
        world.healthy()?;
        let mut made = vacant.fill(made?);
        let stored = change(&mut made, &mut world, |made, world| {
            Ok(made.refill(&mut Software, world)?)
        });
        made.keep_if(stored)
    };
    Status::of(generate())
}

/// Takes the prekeys out of their record, which is opened and wiped in place, and counts a start of
/// the device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_restore(
    prekeys: *mut Prekeys,
    env: *const Env,
    record: *mut u8,
    record_len: usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut restore = || {
        let vacant = Vacant::claim(&mut memory, prekeys)?;
        let mut world = World::storing(&mut memory, env)?;
        let record = memory.edit(record, record_len)?;
        let mut read = world.read_record(HW_SLOT_PREKEYS, record, |bytes| {
            Ok(vacant.fill(Own::decode(bytes)?))
        })?;
        read.started();
        let stored = save(&mut world, &read);
        read.keep_if(stored)
    };
    Status::of(restore())
}

/// Makes a new signed prekey if the old one had its time (7 days of running, or 100 starts), and
/// stores it. Sets `changed` to 1 then: publish the bundle anew. Call it at boot and once a day.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_rotate_if_due(
    prekeys: *mut Prekeys,
    env: *const Env,
    now_ms: u64,
    changed: *mut u8,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut rotate = || {
        let mut prekeys = Held::of(&mut memory, prekeys)?;
        let mut world = World::storing(&mut memory, env)?;
        let changed = memory.output(changed, 0)?;
        if prekeys.is_rotation_due(now_ms) {
            change(&mut prekeys, &mut world, |prekeys, world| {
                Ok(prekeys.rotate(&mut Software, world, now_ms)?)
            })?;
            *changed = 1;
        }
        Ok(())
    };
    Status::of(rotate())
}

/// Makes a new set of one-time prekeys and stores it; the set before it stays good once more. Then
/// upload hw_prekeys_list().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_refill(prekeys: *mut Prekeys, env: *const Env) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut refill = || {
        let mut prekeys = Held::of(&mut memory, prekeys)?;
        let mut world = World::storing(&mut memory, env)?;
        change(&mut prekeys, &mut world, |prekeys, world| {
            Ok(prekeys.refill(&mut Software, world)?)
        })
    };
    Status::of(refill())
}

/// Raises the bundle's counter above one that a relay shows for this identity: it had a life before.
/// Stores it; publish the bundle anew.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_outrun(
    prekeys: *mut Prekeys,
    env: *const Env,
    counter: u64,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut outrun = || {
        let mut prekeys = Held::of(&mut memory, prekeys)?;
        let mut world = World::storing(&mut memory, env)?;
        change(&mut prekeys, &mut world, |prekeys, _| {
            prekeys.outrun(counter);
            Ok(())
        })
    };
    Status::of(outrun())
}

/// Writes the one-time prekeys on offer as the relay takes them: (id, 4 bytes big-endian; point, 33
/// bytes) for each. `written` is set to their length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_list(
    prekeys: *mut Prekeys,
    out: *mut u8,
    out_size: usize,
    written: *mut usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut list = || {
        let prekeys = Held::of(&mut memory, prekeys)?;
        let out = memory.write(out, out_size)?;
        let written = memory.output(written, HW_PREKEY_LIST_LEN)?;
        if out.len() < HW_PREKEY_LIST_LEN {
            return Err(Status::Buffer);
        }
        *written = prekeys.list(&mut Software, out)?;
        Ok(())
    };
    Status::of(list())
}

/// How many one-time prekeys on offer are unspent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_unspent(prekeys: *mut Prekeys, count: *mut usize) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut unspent = || {
        let prekeys = Held::of(&mut memory, prekeys)?;
        *memory.output(count, 0)? = prekeys.unspent();
        Ok(())
    };
    Status::of(unspent())
}

/// Writes the bundle, signed: what a peer needs to write first. `max_body` is the largest body that
/// this device takes, in bytes, from 1024 to 16384.
///
/// cbindgen:ptrs-as-arrays=[[out; HW_BUNDLE_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_bundle(
    prekeys: *mut Prekeys,
    identity: *mut Identity,
    env: *const Env,
    max_body: u16,
    out: *mut u8,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut write = || {
        let prekeys = Held::of(&mut memory, prekeys)?;
        let mut identity = Held::of(&mut memory, identity)?;
        let mut world = World::drawing(&mut memory, env)?;
        let out = memory.room::<HW_BUNDLE_LEN>(out)?;
        if !(BASE_BODY..=MAX_BODY).contains(&usize::from(max_body)) {
            return Err(Status::Argument);
        }
        let public = *identity.public();
        let (id, point) = prekeys.signed_prekey();
        let fields = BundleFields {
            identity: &public,
            counter: prekeys.counter(),
            max_body,
            signed_prekey: (id, *point),
        };
        // RFC 6979 3.6: a fault in signing then gives away no key.
        let mut added = [0; 32];
        let Ok(()) = world.try_fill_bytes(&mut added);
        fields.sign(out, |digest| identity.sign(&mut Software, digest, &added))?;
        Ok(())
    };
    Status::of(write())
}

/// Wipes the prekeys in RAM. The record is untouched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_prekeys_wipe(prekeys: *mut Prekeys) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    Status::of(wipe(&mut memory, prekeys))
}
