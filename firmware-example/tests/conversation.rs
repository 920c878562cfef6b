//! A device talks with a person through a real relay: the same device as on a chip, over sockets of
//! the host.

mod bench;
#[path = "../../host-client/tests/common/mod.rs"]
mod common;

use std::time::Duration;

use bench::{Board, Running};
use common::{Person, Relay};
use hushwire::Who;
use hushwire_firmware::device::End;
use tokio::runtime::Runtime;

struct World {
    runtime: Runtime,
    relay: Relay,
    alice: Person,
    board: Board,
}

impl World {
    /// A device that knows its relay and alice, and alice it.
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let (relay, alice) = runtime.block_on(async {
            let relay = Relay::start().await;
            let alice = Person::at(&relay).await;
            (relay, alice)
        });
        let mut board = Board::new(7);
        let address = board.live(|device| {
            device.tell(&format!("relay {}", relay.url));
            device.tell(&format!("contact add alice {}", alice.client.address()));
            device.logs("online");
            // Its keys are published, or alice would look for them again in ten minutes.
            device.run(Duration::from_millis(1500));
            device.tell("address")
        });
        runtime.block_on(async {
            let who = Who::Address(address.parse().unwrap());
            alice.client.add_contact("device", who).await.unwrap();
        });
        Self {
            runtime,
            relay,
            alice,
            board,
        }
    }

    fn live<T>(&mut self, story: impl FnOnce(&mut Scene<'_, '_, '_>) -> T) -> T {
        let Self {
            runtime,
            relay,
            alice,
            board,
        } = self;
        board.live(|device| {
            story(&mut Scene {
                device,
                runtime,
                relay,
                alice,
            })
        })
    }
}

struct Scene<'s, 'd, 'a> {
    device: &'s mut Running<'d, 'a>,
    runtime: &'s Runtime,
    relay: &'s mut Relay,
    alice: &'s Person,
}

impl Scene<'_, '_, '_> {
    fn send(&mut self, text: &str) {
        self.runtime.block_on(self.alice.send("device", text));
    }

    /// Runs until alice has received so many messages with this text.
    fn alice_hears(&mut self, text: &str, times: usize) {
        let (runtime, alice) = (self.runtime, self.alice);
        self.device.until(text, |_| {
            let received = runtime.block_on(alice.received());
            received.iter().filter(|heard| heard.contains(text)).count() >= times
        });
    }
}

#[test]
fn commands_are_answered_and_lives_go_on() {
    let mut world = World::new();
    let lamp = world.board.panel.lamp.clone();
    world.live(|scene| {
        scene.send("led on");
        scene.alice_hears("led on", 1);
        let now = scene.device.clock.uptime();
        scene.device.device.shine(now / 5000 * 5000 + 2000);
        assert!(lamp.get(), "the lamp is lit");
        scene.send("read");
        scene.alice_hears("21000 mC", 1);
        scene.send("echo grüß dich");
        scene.alice_hears("grüß dich", 1);
        scene.send("status");
        scene.alice_hears("bench up", 1);
        scene.send("make me a sandwich");
        scene.alice_hears("commands: led", 1);
        assert_eq!(scene.device.state("state"), "online");

        scene.device.tell("send alice good morning");
        scene.alice_hears("good morning", 1);
        scene.device.logs("delivered");
    });
    // The power was cut. What came meanwhile is answered, and nothing is said twice for it.
    world
        .runtime
        .block_on(world.alice.send("device", "echo while you slept"));
    world.live(|scene| {
        assert_eq!(scene.device.state("image"), "ready");
        scene.alice_hears("while you slept", 1);
        // The relay goes and comes.
        scene.runtime.block_on(scene.relay.stop());
        scene.device.logs("offline");
        scene.device.tell("send alice into the void");
        scene.runtime.block_on(scene.relay.resume());
        scene.alice_hears("into the void", 1);
        scene.send("echo still there");
        scene.alice_hears("still there", 1);
        let verified = scene.device.tell("verify alice");
        let theirs = scene
            .runtime
            .block_on(scene.alice.client.safety("device"))
            .unwrap();
        assert_eq!(verified, theirs.number);
    });
    let received = world.runtime.block_on(world.alice.received());
    let mut once = received.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), received.len(), "{received:?}");
}

#[test]
fn telemetry_comes_again_and_again_and_never_queues_up() {
    let mut world = World::new();
    world.live(|scene| {
        scene.device.tell("telemetry 5");
        scene.alice_hears("telemetry: up", 1);
        scene.device.clock.skip(Duration::from_secs(6));
        scene.alice_hears("telemetry: up", 2);
        // Without a relay one of them waits, not hundreds.
        scene.runtime.block_on(scene.relay.stop());
        scene.device.logs("offline");
        for _ in 0..50 {
            scene.device.clock.skip(Duration::from_secs(6));
            scene.device.step();
        }
        for n in 0..4 {
            scene.device.tell(&format!("send alice there is room {n}"));
        }
        scene.runtime.block_on(scene.relay.resume());
        scene.alice_hears("there is room 3", 1);
        // The one that waited may be the second, whose receipt did not come.
        scene.device.clock.skip(Duration::from_secs(6));
        scene.alice_hears("telemetry: up", 3);
        scene.device.tell("telemetry off");
    });
    let received = world.runtime.block_on(world.alice.received());
    let count = received
        .iter()
        .filter(|text| text.starts_with("telemetry"))
        .count();
    assert!((3..8).contains(&count), "{received:?}");
}

#[test]
fn strangers_are_refused_unless_told_otherwise_and_never_command() {
    let mut world = World::new();
    let runtime = Runtime::new().unwrap();
    let device: hushwire::Address = world
        .board
        .live(|device| device.tell("address").parse().unwrap());
    let mut mallory = runtime.block_on(async {
        let mallory = Person::at(&world.relay).await;
        mallory
            .client
            .add_contact("device", Who::Address(device))
            .await
            .unwrap();
        mallory
    });
    world.live(|scene| {
        scene.device.logs("online");
        runtime.block_on(mallory.send("device", "led on"));
        // The relay, which was told the list of contacts, does not even give her the keys.
        scene.device.run(Duration::from_secs(3));
        assert!(
            !scene
                .device
                .seen()
                .iter()
                .any(|line| line.contains("led on"))
        );

        scene.device.tell("strangers on");
        scene.device.run(Duration::from_secs(1));
        // Or she would ask for them again in ten minutes.
        runtime.block_on(mallory.restart());
        scene.device.logs("led on");
        assert_eq!(
            scene.device.state("lamp"),
            "off",
            "a stranger never commands"
        );

        // The owner makes her a contact.
        scene
            .device
            .tell(&format!("contact add mallory {}", mallory.client.address()));
        runtime.block_on(mallory.send("device", "led on"));
        scene
            .device
            .until("the lamp", |life| life.state("lamp") == "on");
        scene.device.tell("contact block mallory");
        runtime.block_on(mallory.send("device", "led off"));
        scene.device.run(Duration::from_millis(1500));
        assert_eq!(scene.device.state("lamp"), "on", "she is blocked");
    });
}

#[test]
fn a_new_owner_gets_a_new_device() {
    let mut world = World::new();
    let before = world.board.live(|device| device.tell("address"));
    world.board.live_and_end(End::Reset);
    assert!(
        world.board.flash.cells.iter().all(|byte| *byte == 0xff),
        "nothing is left"
    );
    assert_eq!(world.board.keeper.key, None);
    world.live(|scene| {
        assert_eq!(scene.device.state("image"), "new");
        assert_eq!(scene.device.state("relay"), "none");
        assert_eq!(scene.device.state("contacts"), "0 of 4");
        assert_ne!(scene.device.tell("address"), before);
        let relay = format!("relay {}", scene.relay.url);
        scene.device.tell(&relay);
        scene.device.logs("online");
    });
}
