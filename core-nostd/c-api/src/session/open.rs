//! Opening: stored first, then told.

use hushwire_core::{crypto::Software, session::OpenError};

use super::{Message, Session, save_opened};
use crate::{
    context::Held,
    env::{Env, World},
    memory::Memory,
    status::Status,
};

/// Opens an envelope in place. The state and the message go to the store call-back in one commit;
/// only after that is `message` written. Then ack the envelope.
///
/// HW_STATUS_UNOPENABLE changes neither the session nor the envelope. HW_STATUS_STORE zeroes the
/// envelope and leaves the session HW_STATUS_STALE: do not ack, restore the session, and the relay's
/// next delivery of the same envelope opens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hw_session_open(
    session: *mut Session,
    env: *const Env,
    envelope: *mut u8,
    envelope_len: usize,
    message: *mut Message,
) -> Status {
    // SAFETY: the caller keeps the header's contract until this call returns.
    let mut memory = unsafe { Memory::of_this_call() };
    let mut open = || {
        let mut slotted = Held::of(&mut memory, session)?;
        let mut world = World::storing(&mut memory, env)?;
        let envelope = memory.edit(envelope, envelope_len)?;
        let message = memory.output(message, Message::NONE)?;
        let session = slotted.get_mut()?;
        match session.open(&mut Software, &mut *envelope) {
            Ok(opened) => {
                // Asked after opening: a message that confirms the session is no replay itself.
                let replayable = session.may_be_replayed();
                let opened = Message::opened(&opened, replayable);
                if let Err(status) = save_opened(&mut world, &mut slotted, Some(&opened)) {
                    envelope.fill(0);
                    return Err(status);
                }
                *message = opened;
                Ok(())
            }
            Err(OpenError::TooFar) => {
                // The peer's step was taken, so that we can answer with a new key.
                save_opened(&mut world, &mut slotted, None)?;
                Err(Status::TooFar)
            }
            Err(error) => Err(error.into()),
        }
    };
    Status::of(open())
}
