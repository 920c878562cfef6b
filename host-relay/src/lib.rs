//! The Hushwire relay: routes and stores what it cannot read.
