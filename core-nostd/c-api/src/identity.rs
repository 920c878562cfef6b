//! Identities, addresses, and what two people compare.

use core::{ffi::c_char, fmt::Write};

use hushwire_core::{
    crypto::Software,
    fingerprint::SafetyNumber,
    identity::{Address, IdentityKeys as _, IdentityPublic, SoftwareIdentity},
    session::StateError,
};
use rand_core::TryRng as _;
use zeroize::Zeroizing;

use crate::{
    context::{Held, Vacant, context, wipe},
    env::{Env, HW_SLOT_IDENTITY, World},
    memory::Memory,
    status::Status,
};

/// Words of 8 bytes in an identity's context.
pub const HW_IDENTITY_WORDS: usize = 18;
/// Bytes of an address.
pub const HW_ADDRESS_LEN: usize = 20;
/// Bytes of an address as text, the closing NUL included.
pub const HW_ADDRESS_TEXT_LEN: usize = 44;
/// Bytes of both public keys of an identity.
pub const HW_PUBLIC_LEN: usize = 66;
/// Bytes of a seed.
pub const HW_SEED_LEN: usize = 32;
/// Bytes of a safety number as text, the closing NUL included.
pub const HW_SAFETY_NUMBER_LEN: usize = 72;

const _: () = {
    assert!(HW_ADDRESS_LEN == Address::LEN);
    assert!(HW_PUBLIC_LEN == IdentityPublic::LEN);
    assert!(HW_SEED_LEN == SoftwareIdentity::SEED_LEN);
};

/// This device's two long-term keys. Zero it before first use; it may not be moved or copied.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Identity {
    opaque: [u64; HW_IDENTITY_WORDS],
}

context!(Identity holds SoftwareIdentity, marked b"HWident1");

/// Makes a new identity and stores its seed at HW_SLOT_IDENTITY before anything else can happen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_identity_generate(identity: *mut Identity, env: *const Env) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut generate = || {
        let vacant = Vacant::claim(&mut memory, identity)?;
        let mut world = World::storing(&mut memory, env)?;
        let mut seed = Zeroizing::new([0; HW_SEED_LEN]);
        let Ok(()) = world.try_fill_bytes(&mut *seed);
        let made = vacant.fill(SoftwareIdentity::from_seed(&mut Software, &seed)?);
        made.keep_if(world.commit(HW_SLOT_IDENTITY, None, |record| {
            let place = record.first_chunk_mut().ok_or(StateError)?;
            *place = *seed;
            Ok(HW_SEED_LEN)
        }))
    };
    Status::of(generate())
}

/// Takes the identity out of its record, which is opened and wiped in place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_identity_restore(
    identity: *mut Identity,
    env: *const Env,
    record: *mut u8,
    record_len: usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut restore = || {
        let vacant = Vacant::claim(&mut memory, identity)?;
        let world = World::storing(&mut memory, env)?;
        let record = memory.edit(record, record_len)?;
        let seed = world.read_record(HW_SLOT_IDENTITY, record, |seed| {
            let seed: &[u8; HW_SEED_LEN] = seed.try_into().map_err(|_| StateError)?;
            Ok(Zeroizing::new(*seed))
        })?;
        vacant.fill(SoftwareIdentity::from_seed(&mut Software, &seed)?);
        Ok(())
    };
    Status::of(restore())
}

/// Grows the identity from a seed of full entropy that the program keeps itself.
///
/// cbindgen:ptrs-as-arrays=[[seed; HW_SEED_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_identity_from_seed(identity: *mut Identity, seed: *const u8) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut grow = || {
        let vacant = Vacant::claim(&mut memory, identity)?;
        let seed = memory.array(seed)?;
        vacant.fill(SoftwareIdentity::from_seed(&mut Software, seed)?);
        Ok(())
    };
    Status::of(grow())
}

/// Writes both public keys.
///
/// cbindgen:ptrs-as-arrays=[[out; HW_PUBLIC_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_identity_public(identity: *mut Identity, out: *mut u8) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut public = || {
        let identity = Held::of(&mut memory, identity)?;
        *memory.room::<HW_PUBLIC_LEN>(out)? = identity.public().bytes();
        Ok(())
    };
    Status::of(public())
}

/// Writes the address.
///
/// cbindgen:ptrs-as-arrays=[[out; HW_ADDRESS_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_identity_address(identity: *mut Identity, out: *mut u8) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut address = || {
        let identity = Held::of(&mut memory, identity)?;
        *memory.room::<HW_ADDRESS_LEN>(out)? = identity.public().address().0;
        Ok(())
    };
    Status::of(address())
}

/// Wipes the keys in RAM. The record is untouched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_identity_wipe(identity: *mut Identity) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    Status::of(wipe(&mut memory, identity))
}

/// Writes an address as people see it, `hush1...` and a closing NUL.
///
/// cbindgen:ptrs-as-arrays=[[address; HW_ADDRESS_LEN], [text; HW_ADDRESS_TEXT_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_address_format(address: *const u8, text: *mut c_char) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut format = || {
        let address = Address(*memory.array(address)?);
        let text = memory.room::<HW_ADDRESS_TEXT_LEN>(text.cast())?;
        write!(Text::within(text), "{address}").map_err(|_| Status::Buffer)
    };
    Status::of(format())
}

/// Reads an address that somebody typed: `len` characters, no NUL needed. Typing errors are found.
///
/// cbindgen:ptrs-as-arrays=[[address; HW_ADDRESS_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_address_parse(
    text: *const c_char,
    len: usize,
    address: *mut u8,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut parse = || {
        let text = memory.read(text.cast(), len)?;
        let address = memory.room::<HW_ADDRESS_LEN>(address)?;
        let text = core::str::from_utf8(text).map_err(|_| Status::Key)?;
        let parsed: Address = text.parse().map_err(|_| Status::Key)?;
        *address = parsed.0;
        Ok(())
    };
    Status::of(parse())
}

/// Writes the safety number of two identities: 12 groups of 5 digits, the same on both sides, and a
/// closing NUL.
///
/// cbindgen:ptrs-as-arrays=[[ours; HW_PUBLIC_LEN], [theirs; HW_PUBLIC_LEN], [text; HW_SAFETY_NUMBER_LEN]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_safety_number(
    ours: *const u8,
    theirs: *const u8,
    text: *mut c_char,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut number = || {
        let ours = IdentityPublic::parse(&mut Software, memory.array(ours)?)?;
        let theirs = IdentityPublic::parse(&mut Software, memory.array(theirs)?)?;
        let text = memory.room::<HW_SAFETY_NUMBER_LEN>(text.cast())?;
        let number = SafetyNumber::new(&ours, &theirs);
        write!(Text::within(text), "{number}").map_err(|_| Status::Buffer)
    };
    Status::of(number())
}

/// A C string under way: the last byte stays NUL.
struct Text<'b> {
    room: &'b mut [u8],
}

impl<'b> Text<'b> {
    fn within<const N: usize>(room: &'b mut [u8; N]) -> Self {
        let room = room.split_last_mut().map_or(&mut [][..], |(_, room)| room);
        Self { room }
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = core::mem::take(&mut self.room);
        let (place, rest) = room
            .split_at_mut_checked(text.len())
            .ok_or(core::fmt::Error)?;
        let bytes = place.iter_mut().zip(text.bytes());
        bytes.for_each(|(place, byte)| *place = byte);
        self.room = rest;
        Ok(())
    }
}
