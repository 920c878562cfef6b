//! The image of one board: takes the board apart and hands it to the app.
#![no_std]
#![no_main]

mod boards;
