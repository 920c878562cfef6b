//! The example in C, built and run in every way that users have, talks to the core in Rust.

mod common;

use std::{fs::File, process::Command};

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
    let told = build::scratch().join("peer.stack");
    converse(
        Command::new("qemu-system-arm")
            .stderr(File::create(&told).unwrap())
            .args(["-M", "mps2-an386", "-cpu", "cortex-m4", "-display", "none"])
            .args(["-serial", "null", "-monitor", "none"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(image),
    );
    // Every operation, with the example's own frames and newlib's printing around it. 8 KiB are
    // enough with the compilers that were tried; another one may lay out frames a little larger.
    let told = std::fs::read_to_string(told).unwrap();
    let used = told.strip_suffix(" bytes of stack\n").unwrap_or(&told);
    let used: u32 = used.parse().unwrap_or_else(|_| panic!("{told}"));
    assert!((2048..=9216).contains(&used), "{told}");
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
