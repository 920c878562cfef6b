//! One-time prekeys while whoever hands them out is killed.

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{
    Arc, Duration, Fleet, HashSet, Instant, Mutex, Nats, PATIENCE, RELAYS, address_of, connect,
    register,
};

const BOB: u16 = 2;
/// Uploaded in each round.
const PREKEYS: u32 = 40;
/// Clients that ask for one at once, at all relays.
const CROWD: u16 = 60;
/// Between the questions of two of them.
const APART: Duration = Duration::from_millis(4);
/// Of them, those that have one when somebody is killed; others are asking.
const KILLED_AFTER: usize = 10;

/// What went out.
#[derive(Default)]
struct Keys {
    out: Mutex<Vec<u32>>,
    more: Notify,
}

impl Keys {
    fn push(&self, key: u32) {
        self.out.lock().unwrap().push(key);
        self.more.notify_one();
    }

    fn count(&self) -> usize {
        self.out.lock().unwrap().len()
    }
}

/// Who is killed in a round.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Owner,
    OwnerAndItsDisk,
    Server,
}

/// However many ask at however many relays: none of the keys goes out twice, though the relay that hands them out
/// is killed in the midst, its disk is lost, and a server goes as well.
#[tokio::test(flavor = "multi_thread")]
async fn prekeys_go_out_once_whoever_is_killed() {
    let mut nats = Nats::start();
    let mut fleet = Fleet::start(nats.url("mail"));
    register(&mut fleet, BOB).await;
    let (all, mut in_the_crowds) = (Arc::<Keys>::default(), 0);
    let rounds = [
        Victim::Owner,
        Victim::OwnerAndItsDisk,
        Victim::Server,
        Victim::OwnerAndItsDisk,
    ];
    for (round, victim) in (0..).zip(rounds) {
        upload(&mut fleet, round * PREKEYS + 1..=(round + 1) * PREKEYS).await;
        let mut crowd = crowd(&fleet, round, &all).await;
        let before = all.count();
        // At once, so that what was answered last is not long durable.
        while all.count() < before + KILLED_AFTER {
            let more = tokio::time::timeout(PATIENCE, all.more.notified()).await;
            more.expect("somebody gets a key");
        }
        match victim {
            Victim::Server => {
                let server = round as usize % RELAYS;
                nats.kill(server);
                nats.start_node(server);
                nats.wait_for(server);
            }
            Victim::Owner | Victim::OwnerAndItsDisk => {
                let owner = fleet.owner().expect("one has the store");
                fleet.kill(owner);
                if matches!(victim, Victim::OwnerAndItsDisk) {
                    fleet.relays.wipe(owner);
                }
                fleet.start_one(owner);
            }
        }
        while let Some(fetched) = crowd.join_next().await {
            fetched.unwrap();
        }
        in_the_crowds += all.count() - before;
        drain(&mut fleet, round, &all).await;
    }

    let all = std::mem::take(&mut *all.out.lock().unwrap());
    let uploaded = rounds.len() * PREKEYS as usize;
    println!(
        "{} of {uploaded} prekeys went out, {in_the_crowds} of them around {} kills",
        all.len(),
        rounds.len()
    );
    let unique: HashSet<_> = all.iter().collect();
    assert_eq!(unique.len(), all.len(), "handed out twice: {all:?}");
    assert!(all.len() > in_the_crowds, "nothing was left to go out");
}

/// What is left goes out one by one, wherever that is.
async fn drain(fleet: &mut Fleet, round: u32, keys: &Keys) {
    let mut at = round as usize;
    let first = 5_000 + round as u16 * 500;
    for seed in first..first + 500 {
        fleet.supervise();
        let mut client = connect(&fleet.targets, &mut at, seed).await;
        match client.fetch(address_of(BOB)).await {
            Ok(Ok(Some(key))) => keys.push(key),
            Ok(Ok(None)) => return,
            // A relay that is taking the store over.
            Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("there are more keys than were uploaded");
}

/// Bob comes and uploads; again, if the relay ends meanwhile.
async fn upload(fleet: &mut Fleet, ids: std::ops::RangeInclusive<u32>) {
    let deadline = Instant::now() + PATIENCE;
    let mut at = 0;
    loop {
        let mut bob = connect(&fleet.targets, &mut at, BOB).await;
        if bob.upload_ids(ids.clone()).await.is_ok() {
            return;
        }
        assert!(Instant::now() < deadline, "nothing can be uploaded");
        fleet.supervise();
    }
}

/// Clients at all relays, each of which asks for a key of Bob's, once.
async fn crowd(fleet: &Fleet, round: u32, keys: &Arc<Keys>) -> JoinSet<()> {
    let mut ready = Vec::new();
    for n in 0..CROWD {
        let mut at = usize::from(n);
        let seed = 1_000 + round as u16 * CROWD + n;
        ready.push(connect(&fleet.targets, &mut at, seed).await);
    }
    let mut asking = JoinSet::new();
    for (n, mut client) in (0..).zip(ready) {
        let keys = Arc::clone(keys);
        asking.spawn(async move {
            tokio::time::sleep(APART * n).await;
            if let Ok(Ok(Some(key))) = client.fetch(address_of(BOB)).await {
                keys.push(key);
            }
        });
    }
    asking
}
