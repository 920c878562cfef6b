//! The wire as a device uses it: it writes requests and reads answers, never the reverse.

use core::hint::black_box;

use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::envelope::Envelope;
use hushwire_core::wire::frame::{Frames, append};
use hushwire_core::wire::request::Request;

use crate::input::bytes;

/// Reads whichever answers a record holds and writes a request of whichever kind.
#[inline(never)]
pub fn exercise() -> Option<()> {
    let mut record = black_box([0; 512]);
    let mut at = 0;
    for frame in Frames::new(bytes()) {
        let frame = frame.ok()?;
        black_box(Answer::parse(frame).ok()?);
        black_box(Envelope::parse(frame).ok()?);
        // Which variant it is, the compiler cannot know.
        let request = black_box(Request::Leave { number: 1 });
        at = append(&mut record, at, |out| request.emit(out)).ok()?;
    }
    black_box((record, at));
    Some(())
}
