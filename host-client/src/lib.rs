//! The Hushwire client.
