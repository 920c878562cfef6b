//! Times hushwire-core beside vodozemac, in turn, in one process: `cargo xtask bench core`.

mod clock;
mod hush;
mod olm;
mod print;
mod subject;

use clock::{Figures, ROUNDS};
use hush::Hush;
use olm::Olm;
use subject::Subject as _;

fn main() {
    let (mut ours, mut theirs) = (Figures::new(), Figures::new());
    let (mut hush, mut olm) = (Hush::conversation(), Olm::conversation());
    for _ in 0..ROUNDS {
        ours.round(&mut hush);
        theirs.round(&mut olm);
    }
    let rows = print::rows(ours, theirs);
    if std::env::args().any(|argument| argument == "--json") {
        println!("{:#}", print::json(&rows));
    } else {
        print::table(&rows);
    }
}
