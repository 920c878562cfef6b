//! The device in QEMU, with the terminal as its console.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hushwire_lab::{Binaries, Device, HOST, Relay};

use super::{Backend, Board, Image, QEMU, build};
use crate::demo::binaries;
use crate::{project, setup};

/// What a person may wish differently.
pub(super) struct Wishes {
    pub(super) relay: Option<String>,
    pub(super) data: Option<PathBuf>,
    pub(super) icount: bool,
}

/// Runs until the person leaves QEMU.
pub(super) fn run(board: Board, backend: Backend, wishes: &Wishes) -> Result<()> {
    ensure!(
        board.name == QEMU.name,
        "QEMU has no {0}: `cargo xtask firmware flash --board {0}`",
        board.name
    );
    setup::qemu()?;
    let data = match &wishes.data {
        Some(data) => std::path::absolute(data)?,
        None => project::target_dir().join("device"),
    };
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let image = build(board, Image::App, backend)?;
    let (_relay, client, url) = match &wishes.relay {
        Some(url) => (None, PathBuf::from("hushwire"), url.clone()),
        None => {
            let binaries = binaries::build()?;
            let relay = start_relay(&binaries, &data.join("relay"))?;
            let url = relay.url().to_owned();
            (Some(relay), binaries.client, url)
        }
    };
    let mut device = Device::new(&image, &data);
    if wishes.icount {
        device.count_instructions();
    }
    explain(&data, &client, &url)?;
    let status = device.command_for_terminal()?.status();
    let status = status.context("cannot run qemu-system-arm")?;
    ensure!(status.success(), "QEMU ended with an error, see above");
    Ok(())
}

/// On the port of the last time, because the device remembers it.
fn start_relay(binaries: &Binaries, data: &Path) -> Result<Relay> {
    std::fs::create_dir_all(data)?;
    let note = data.join("listen");
    let last = std::fs::read_to_string(&note).unwrap_or_else(|_| "127.0.0.1:0".into());
    let relay = Relay::start_at(binaries, data, last.trim())?;
    std::fs::write(&note, relay.authority())
        .with_context(|| format!("cannot write {}", note.display()))?;
    Ok(relay)
}

/// The relay's URL as the device has to write it: this machine's loopback has another address there.
fn seen_by_device(url: &str) -> Option<String> {
    let rest = url.strip_prefix("hush://")?;
    let (authority, key) = rest.split_once('/')?;
    let (host, port) = authority.rsplit_once(':')?;
    let host = match host {
        "127.0.0.1" | "localhost" => HOST,
        elsewhere => elsewhere,
    };
    Some(format!("hush://{host}:{port}/{key}"))
}

fn explain(data: &Path, client: &Path, url: &str) -> Result<()> {
    let there = seen_by_device(url).context("a relay's URL is hush://HOST:PORT/#KEY")?;
    let (client, data) = (client.display(), data.display());
    println!(
        "
This terminal is the device's console. Ctrl-A X switches it off; {data} keeps its flash.
What to type here, once:
  relay {there}
  contact add you hush1…      your address, from below
  address                     the device's
In another terminal, once:
  {client} --vault {data}/you init --relay '{url}'
  {client} --vault {data}/you contacts add device '{url}/hush1…'
and then, as often as you like:
  {client} --vault {data}/you send device 'led on' --wait
  {client} --vault {data}/you chat device
"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_another_address_for_the_device() {
        assert_eq!(
            seen_by_device("hush://127.0.0.1:7117/#02ab").as_deref(),
            Some("hush://10.0.2.2:7117/#02ab")
        );
        assert_eq!(
            seen_by_device("hush://192.0.2.7:7117/#02ab").as_deref(),
            Some("hush://192.0.2.7:7117/#02ab")
        );
        assert_eq!(seen_by_device("hush://nowhere"), None);
    }
}
