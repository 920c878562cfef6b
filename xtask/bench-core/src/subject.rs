//! What both libraries are asked to do.

/// A library under the clock. Every operation takes and gives the bytes that travel: encoding and
/// decoding are part of a message's cost, on both sides alike.
///
/// The compared work is the same on both sides: a sealed message is opened once, in order, and a
/// start is made of one asynchronous handshake and its first message.
pub(crate) trait Subject {
    /// A message on the wire.
    type Sealed;
    /// What a recipient published, fetched and not yet used.
    type Offer;
    /// The recipient of an offer, who has not heard of the sender.
    type Recipient;

    /// An established conversation, in which both sides have answered.
    fn conversation() -> Self;

    /// A recipient and what it published; not timed.
    fn publish() -> (Self::Recipient, Self::Offer);

    /// Checks the offer, starts a session on it and seals the first message.
    fn initiate(offer: &Self::Offer) -> Self::Sealed;

    /// Accepts the session and opens the first message.
    fn accept(recipient: &mut Self::Recipient, first: Self::Sealed);

    /// The first party seals.
    fn seal(&mut self, body: &[u8]) -> Self::Sealed;

    /// The second party opens; `body` is what must come out.
    fn open(&mut self, sealed: Self::Sealed, body: &[u8]);

    /// The second party answers and the first opens it, so that the next `seal` steps the ratchet.
    fn answer(&mut self, body: &[u8]);
}
