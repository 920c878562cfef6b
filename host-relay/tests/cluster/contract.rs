//! What every engine must do, by the one on a cluster: with one folder, and with a new one each time.

use std::path::Path;

use hushwire_relay::store::nats::Cluster;
use hushwire_relay::store::{Store, StoreError};
use tempfile::tempdir;

use crate::nats::Nats;
use crate::promises;

pub(crate) fn open(nats: &Nats, name: &str, folder: &Path) -> Result<Cluster, StoreError> {
    let url = nats.url(name).parse().expect("a store's URL");
    Cluster::open(&url, folder, 1 << 20)
}

fn boxed(store: Cluster) -> Box<dyn Store> {
    Box::new(store)
}

/// One cluster for all of them: a cluster costs seconds, a store little.
#[test]
fn the_contract() {
    let nats = Nats::start();
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());

    let same = |name: &'static str| {
        let (nats, folder) = (&nats, one.path().join(name));
        std::fs::create_dir(&folder).unwrap();
        move || open(nats, name, &folder).map(boxed)
    };
    promises::rows_are_read_as_they_were_written_over_a_reopening(&same("rows"));
    promises::stores_have_names_of_their_own(&same("first"), &same("second"));
    promises::a_newer_format_is_refused_in_a_sentence(&same("newer"));
    promises::a_store_has_one_user(&same("user"));
    promises::what_it_takes_of_the_disk_is_known(&same("size"));

    // A relay whose disk is lost, or another relay: nothing is known but the cluster's name.
    let other = |name: &'static str| {
        let (nats, two) = (&nats, two.path());
        move || {
            let folder = tempfile::tempdir_in(two).unwrap().keep();
            open(nats, name, &folder).map(boxed)
        }
    };
    promises::rows_are_read_as_they_were_written_over_a_reopening(&other("rows-2"));
    promises::a_newer_format_is_refused_in_a_sentence(&other("newer-2"));
    promises::a_store_has_one_user(&other("user-2"));
}
