//! The link's bytes inside a WebSocket, for networks that let nothing but the web through.
//! PROTOCOL 3.8
//!
//! ```text
//! link (Noise records) <──bytes──> ByteStream <──binary messages──> WebSocket <──> TCP or TLS
//! ```
//!
//! Where one message ends and the next begins means nothing: a [`ByteStream`] reads and writes like
//! a TCP connection. It is bounded before anything is allocated: a message longer than
//! [`MAX_MESSAGE`] is refused when its length is there.

mod handshake;
mod stream;

pub use handshake::{AcceptError, ConnectError, accept, connect};
pub use stream::ByteStream;

/// What both sides name in `Sec-WebSocket-Protocol`. PROTOCOL 3.8
pub const SUBPROTOCOL: &str = "hushwire.v1";
/// The path that a client asks for. PROTOCOL 3.8
pub const PATH: &str = "/hushwire";
/// Bytes of the longest message, also of one in fragments. PROTOCOL 3.8
pub const MAX_MESSAGE: usize = 16 * 1024;
