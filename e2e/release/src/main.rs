//! `release check` says whether a release can be made of this commit; `release make IMAGE EGRESSCTL
//! HOST` makes it of what was built. `make release` runs both.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use image::layout;
use release::changes::{self, Changes};
use release::files::{self, Parts};
use release::{VERSION, commit, metadata};

const MODULES: [&str; 2] = [
    "target/wasm32-wasip1/release/egress_filter.wasm",
    "target/wasm32-wasip1/bodies/egress_filter.wasm",
];
const DIST: &str = "target/dist";

fn main() -> ExitCode {
    let arguments: Vec<_> =
        std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned()).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["check", image] => ready(image).map(drop),
        ["make", image, egressctl, host] => make(image, Path::new(egressctl), host),
        _ => {
            eprintln!("usage: release check IMAGE, release make IMAGE EGRESSCTL HOST");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("release: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The commit and what the changelog says, where a release may be made.
fn ready(image: &str) -> Result<(String, Changes), Box<dyn Error>> {
    files::check_name(&image.parse()?)?;
    let changes = changes::of(&fs::read_to_string("CHANGELOG.md")?, VERSION)?;
    Ok((commit::of(Path::new("."))?, changes))
}

fn make(image: &str, egressctl: &Path, host: &str) -> Result<(), Box<dyn Error>> {
    let (revision, changes) = ready(image)?;
    let rustc = Command::new(variable("RUSTC", "rustc")).arg("--version").output()?;
    let cargo = variable("CARGO", "cargo");
    let crates = |package, target| metadata::of(&cargo, Path::new("."), package, target);
    let [module, bodies] = MODULES.map(|path| read(Path::new(path)));
    let made = files::make(&Parts {
        image: &image.parse()?,
        modules: [&module?, &bodies?],
        egressctl: &read(egressctl)?,
        host,
        revision: &revision,
        rustc: String::from_utf8_lossy(&rustc.stdout).trim(),
        of_module: &crates("egress-filter", "wasm32-wasip1")?,
        of_egressctl: &crates("egressctl", host)?,
        changes: &changes,
        filter_config: Path::new("filter-config"),
    })?;

    let dist = PathBuf::from(DIST);
    layout::replace_folder(&dist)?;
    for (name, bytes) in &made {
        layout::write(&dist.join(name), bytes)?;
        println!("{:>9} bytes  {DIST}/{name}", bytes.len());
    }
    make_executable(&dist.join(format!("egressctl-{VERSION}-{host}")))?;
    if changes.day == "not released" {
        println!("CHANGELOG.md says that {VERSION} is not released: give it its day first");
    }
    println!("{DIST}/{}: what to tell, and how to check and push", files::NOTES);
    Ok(())
}

fn variable(name: &str, otherwise: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| OsStr::new(otherwise).to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| {
        format!("`{}` cannot be read: {error}; `make release` builds it", path.display())
    })
}

fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
