//! Sealing: nothing leaves before its state is stored.

use hushwire_core::{
    crypto::Software,
    evidence,
    session::{Content, Kind, Position},
    wire::MessageId,
};

use super::{Message, Session};
use crate::{
    context::Held,
    env::{Env, World},
    memory::Memory,
    status::Status,
};

/// Bytes of the envelope that a body of `body_len` bytes becomes now: bodies are padded to one of ten
/// sizes, and first messages carry the session's start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_sealed_len(
    session: *mut Session,
    body_len: usize,
    sealed_len: *mut usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut measure = || {
        let slotted = Held::of(&mut memory, session)?;
        let sealed_len = memory.output(sealed_len, 0)?;
        let len = slotted.get()?.sealed_len(body_len);
        *sealed_len = len.ok_or(Status::TooLarge)?;
        Ok(())
    };
    Status::of(measure())
}

/// Seals a message (its kind, id and body) into `out`, and sets `written` to the envelope's length.
///
/// Storage is always ahead of what leaves: about one seal in eight calls the store call-back first,
/// and where that fails `out` stays zeroed and nothing may be sent; the session goes on. With
/// HW_STATUS_BUFFER `written` says what is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_seal(
    session: *mut Session,
    env: *const Env,
    message: *const Message,
    out: *mut u8,
    out_size: usize,
    written: *mut usize,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut seal = || {
        let mut slotted = Held::of(&mut memory, session)?;
        let mut world = World::storing(&mut memory, env)?;
        let message = memory.value(message)?;
        let body = memory.read(message.body, message.body_len)?;
        let out = memory.write(out, out_size)?;
        let written = memory.output(written, 0)?;

        let content = Content {
            kind: Kind(message.kind),
            id: MessageId(message.id),
            body,
        };
        let slot = slotted.slot;
        let session = slotted.get_mut()?;
        let needed = session.sealed_len(body.len()).ok_or(Status::TooLarge)?;
        if out.len() < needed {
            *written = needed;
            return Err(Status::Buffer);
        }
        let sealed = session.seal(&mut Software, &mut world, &content, &mut *out);
        let released = world
            .healthy()
            .and_then(|()| match sealed?.release_covered() {
                Ok(envelope) => Ok(envelope.len()),
                Err(sealed) => evidence::after(
                    session,
                    |session| {
                        world.commit(slot, None, |record| {
                            session.encode(Position::Reserved, record)
                        })
                    },
                    |session, persisted| {
                        session.stored(persisted);
                        sealed.release(persisted).len()
                    },
                ),
            });
        match released {
            Ok(len) => *written = len,
            Err(status) => {
                out.fill(0);
                return Err(status);
            }
        }
        Ok(())
    };
    Status::of(seal())
}
