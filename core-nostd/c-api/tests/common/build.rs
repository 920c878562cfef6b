//! Builds the static library and the example, each as its users would.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The chip that QEMU's board has.
pub(crate) const CORTEX_M4: &str = "thumbv7em-none-eabihf";

/// This package's folder.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo builds the static libraries: shared by all tests and by `cargo xtask c-api`.
fn library_folder() -> PathBuf {
    scratch().join("../../c-api")
}

/// A folder for what a test makes.
pub(crate) fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c-api");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a command that must succeed; what it printed is shown where it does not.
pub(crate) fn run(command: &mut Command) -> String {
    let program = command.get_program().to_owned();
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot run {program:?}: {error}; `cargo xtask c-api` installs what is missing")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}{complaint}");
    text
}

/// `libhushwire.a` for this machine.
pub(crate) fn host_library() -> PathBuf {
    library(&[], "c-api/libhushwire_c.a")
}

/// `libhushwire.a` for the chip: what `cargo xtask c-api` built, with whichever compiler it found, or
/// what rustup's target builds now.
pub(crate) fn chip_library() -> PathBuf {
    if let Some(built) = std::env::var_os("HUSHWIRE_C_CHIP_LIBRARY") {
        return built.into();
    }
    let path = format!("{CORTEX_M4}/c-api/libhushwire_c.a");
    library(&["--target", CORTEX_M4], &path)
}

fn library(arguments: &[&str], path: &str) -> PathBuf {
    // As CMakeLists.txt has it for chips; the variable says nothing to a build for this machine.
    let compact = "--cfg sha2_backend_soft=\"compact\" --cfg aes_backend_soft=\"compact\"";
    run(Command::new(env!("CARGO"))
        .env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_RUSTFLAGS", compact)
        .args(["rustc", "--quiet", "--lib", "--profile", "c-api"])
        .args(["--crate-type", "staticlib", "--features", "standalone"])
        .arg("--target-dir")
        .arg(library_folder())
        .args(arguments)
        .current_dir(package()));
    library_folder().join(path)
}

/// The example's sources and the strictness that they have to stand.
fn compile(compiler: &str) -> Command {
    let (package, examples) = (package(), package().join("examples"));
    let mut command = Command::new(compiler);
    command
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .arg("-I")
        .arg(package.join("include"))
        .arg(examples.join("peer.c"))
        .arg(examples.join("port.c"));
    command
}

/// The example for this machine, under a name of its own.
pub(crate) fn host_example(name: &str, flags: &[&str]) -> PathBuf {
    let program = scratch().join(name);
    run(compile("cc")
        .args(flags)
        .arg(host_library())
        .arg("-o")
        .arg(&program));
    program
}

/// The example with the flags that pkg-config gives for an installed library.
pub(crate) fn pkg_config_example(prefix: &Path) -> PathBuf {
    let words = run(Command::new("pkg-config")
        .args(["--cflags", "--libs", "hushwire"])
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")));
    let program = scratch().join("peer-pkg-config");
    let examples = package().join("examples");
    run(Command::new("cc")
        .arg(examples.join("peer.c"))
        .arg(examples.join("port.c"))
        .args(words.split_whitespace())
        .arg("-o")
        .arg(&program));
    program
}

/// The example as an image for QEMU's mps2-an386, linked against newlib.
pub(crate) fn chip_example() -> PathBuf {
    let (image, board) = (scratch().join("peer.elf"), package().join("examples/qemu"));
    run(compile("arm-none-eabi-gcc")
        .args(["-Os", "-mcpu=cortex-m4", "-mthumb"])
        .args(["-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"])
        .args(["-ffunction-sections", "-fdata-sections"])
        .args(["--specs=nano.specs", "--specs=rdimon.specs"])
        .args(["-nostartfiles", "-Wl,--gc-sections", "-Wl,--emit-relocs"])
        .arg(board.join("startup.c"))
        .arg("-T")
        .arg(board.join("mps2.ld"))
        .arg(chip_library())
        .arg(format!(
            "-Wl,-Map={}",
            image.with_extension("map").display()
        ))
        .arg("-o")
        .arg(&image));
    image
}

/// Runs CMake's three steps; `install` is a prefix, or none.
pub(crate) fn cmake(
    source: &Path,
    folder: &str,
    settings: &[String],
    install: Option<&Path>,
) -> PathBuf {
    let folder = scratch().join(folder);
    let cargo_folder = format!("-DHUSHWIRE_CARGO_FOLDER={}", library_folder().display());
    run(Command::new("cmake")
        .arg("-S")
        .arg(source)
        .arg("-B")
        .arg(&folder)
        .arg(cargo_folder)
        .args(settings));
    run(Command::new("cmake").arg("--build").arg(&folder));
    if let Some(prefix) = install {
        run(Command::new("cmake")
            .arg("--install")
            .arg(&folder)
            .arg("--prefix")
            .arg(prefix));
    }
    folder
}
