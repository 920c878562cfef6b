//! F6: noise that is stuck, repeats itself or stays away. No key is made, nothing is sent.

mod bench;
#[path = "../../host-client/tests/common/mod.rs"]
mod common;

use std::time::Duration;

use bench::{Board, Noise, Trouble};
use common::Relay;
use hushwire_firmware::entropy::Generator;
use tokio::runtime::Runtime;

const SICK: [Trouble; 4] = [
    Trouble::Silent,
    Trouble::Stuck,
    Trouble::Repeating(4),
    Trouble::Repeating(64),
];

#[test]
fn f6_no_key_without_healthy_noise() {
    // A device is built from a generator, and there is none: whatever would make a key is not there.
    for trouble in SICK {
        let noise = Noise::new(1, trouble);
        let handle = noise.handle();
        let Err((noise, _)) = Generator::start(noise) else {
            panic!("{trouble:?} passed");
        };
        // The same source, once it is well.
        handle.set(Trouble::None);
        assert!(Generator::start(noise).is_ok());
    }
}

#[test]
fn f6_entropy_failures_later_stop_everything_that_sends() {
    let runtime = Runtime::new().unwrap();
    let relay = runtime.block_on(Relay::start());
    for trouble in SICK {
        let mut board = Board::new(3);
        let (noise, left, writes) = (
            board.noise.clone(),
            board.left.clone(),
            board.flash.writes.clone(),
        );
        board.live(|device| {
            device.tell(&format!("relay {}", relay.url));
            let somebody = hushwire::Address([1; 20]);
            device.tell(&format!("contact add somebody {somebody}"));
            device.logs("online");
            device.run(Duration::from_millis(300));

            noise.set(trouble);
            device.clock.skip(Duration::from_secs(600));
            device.logs("no healthy noise");
            assert_eq!(device.state("state"), "fault");
            let (left_before, written_before) = (left.get(), writes.get());
            for command in [
                "send somebody hello",
                "contact add other hush1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
                "strangers on",
                "telemetry 5",
            ] {
                assert!(
                    device.say(command).starts_with("error"),
                    "{trouble:?}: {command}"
                );
            }
            device.clock.skip(Duration::from_secs(120));
            device.run(Duration::from_millis(300));
            assert_eq!(left.get(), left_before, "{trouble:?}: something was sent");
            assert_eq!(
                writes.get(),
                written_before,
                "{trouble:?}: something was written"
            );

            noise.set(Trouble::None);
            device.clock.skip(Duration::from_secs(10));
            device.logs("healthy again");
            device.until("online again", |life| life.state("state") == "online");
            device.tell("send somebody hello");
        });
    }
}
