//! `docs/vectors` through `hushwire-core`: what the core writes is what the vectors say, and what the
//! vectors say opens in the core. The generator behind them shares no code with the core.

mod bundle;
mod frames;
mod identity;
mod link;
mod numbers;
mod session;
mod support;
