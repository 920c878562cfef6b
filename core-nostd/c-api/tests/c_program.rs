//! The example in C, built and run in every way that users have, talks to the core in Rust.

mod common;

use std::process::Command;

use common::{build, peer::Peer, story};

fn converse(command: &mut Command) {
    let mut peer = Peer::start(command);
    story::tell(&mut peer);
    peer.finish();
}

#[test]
fn with_sanitizers() {
    let flags = [
        "-O1",
        "-g",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ];
    converse(&mut Command::new(build::host_example(
        "peer-sanitized",
        &flags,
    )));
}

#[test]
#[ignore = "needs valgrind: `cargo xtask c-api` brings it and runs this"]
fn under_valgrind() {
    let program = build::host_example("peer-valgrind", &["-O1", "-g"]);
    converse(
        Command::new("valgrind")
            .args(["--quiet", "--error-exitcode=9", "--leak-check=full"])
            .arg(program),
    );
}

#[test]
#[ignore = "needs arm-none-eabi-gcc and QEMU: `cargo xtask c-api` brings them and runs this"]
fn on_a_cortex_m4_in_qemu() {
    let image = build::chip_example();
    converse(
        Command::new("qemu-system-arm")
            .args(["-M", "mps2-an386", "-cpu", "cortex-m4", "-display", "none"])
            .args(["-serial", "null", "-monitor", "none"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(image),
    );
}

#[test]
#[ignore = "needs CMake: `cargo xtask c-api` brings it and runs this"]
fn as_a_part_of_a_cmake_project() {
    let source = build::package().join("examples/cmake");
    let folder = build::cmake(&source, "cmake-inside", &[], None);
    converse(&mut Command::new(folder.join("peer")));
}

#[test]
#[ignore = "needs CMake and pkg-config: `cargo xtask c-api` brings them and runs this"]
fn as_an_installed_library() {
    let prefix = build::scratch().join("prefix");
    let settings = ["-DCMAKE_INSTALL_LIBDIR=lib".to_owned()];
    build::cmake(build::package(), "cmake-library", &settings, Some(&prefix));
    converse(&mut Command::new(build::pkg_config_example(&prefix)));

    let settings = [
        "-DHUSHWIRE_INSTALLED=ON".to_owned(),
        format!("-DCMAKE_PREFIX_PATH={}", prefix.display()),
    ];
    let source = build::package().join("examples/cmake");
    let folder = build::cmake(&source, "cmake-outside", &settings, None);
    converse(&mut Command::new(folder.join("peer")));
}
