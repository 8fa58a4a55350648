//! `image MODULE IMAGE FILTER_CONFIG TARGET`: makes the image of a module, and `filter-config/`
//! with it; `make image` runs it.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use image::fetcher;
use image::layout::Layout;
use image::oci::Image;
use image::reference::Reference;
use image::{layout, manifests};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [module, name, filter_config, target] = arguments.as_slice() else {
        eprintln!(
            "usage: image MODULE IMAGE FILTER_CONFIG TARGET, as in `make image \
             IMAGE=registry/repository:tag`"
        );
        return ExitCode::from(2);
    };
    let made = run(
        Path::new(module),
        &name.to_string_lossy(),
        Path::new(filter_config),
        Path::new(target),
    );
    if let Err(error) = made {
        eprintln!("image: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(
    module: &Path,
    name: &str,
    filter_config: &Path,
    target: &Path,
) -> Result<(), Box<dyn Error>> {
    let reference: Reference = name.parse()?;
    let bytes = fs::read(module).map_err(|error| {
        format!("`{}` cannot be read: {error}; `make wasm` builds it", module.display())
    })?;
    let image = Image::new(&bytes).map_err(|error| format!("`{}` {error}", module.display()))?;

    let folder = target.join("image/oci");
    let tarball = target.join("image/egress-filter.tar");
    let with_image = target.join("filter-config");
    layout::write_folder(&folder, &image, &reference)?;
    layout::write_tarball(&tarball, &image, &reference)?;
    check(&folder, reference.tag(), &image.manifest.sha256, &bytes)?;
    let plugins = manifests::write(filter_config, &with_image, &reference, &image.manifest.sha256)?;

    let mut out = io::stdout().lock();
    writeln!(out, "{:<9} {:>9} bytes  {}", "module", bytes.len(), module.display())?;
    for (what, blob) in ["layer", "config", "manifest"].into_iter().zip(image.blobs()) {
        writeln!(
            out,
            "{what:<9} {:>9} bytes  {}  sha256:{}",
            blob.bytes.len(),
            blob.media_type,
            blob.sha256
        )?;
    }
    told(&mut out, &reference, &folder, &tarball, &with_image, plugins)?;
    writeln!(out, "sha256:{}", image.manifest.sha256)?;
    Ok(())
}

fn told(
    out: &mut impl Write,
    reference: &Reference,
    folder: &Path,
    tarball: &Path,
    with_image: &Path,
    plugins: usize,
) -> io::Result<()> {
    let (folder, tarball, with_image) = (folder.display(), tarball.display(), with_image.display());
    let placeholder = if reference.to_string() == manifests::PLACEHOLDER {
        "\nThat name is a placeholder: make image IMAGE=registry/repository:tag\n"
    } else {
        ""
    };
    write!(
        out,
        "
{folder}: an OCI layout, read back as Istio's agent does
{tarball}: the same as an OCI archive and a docker archive in one
{with_image}: filter-config with oci://{reference} and this digest ({plugins} resources)
{placeholder}
Push it in one of these ways, which keep the digest:
  skopeo copy --preserve-digests oci:{folder} docker://{reference}
  skopeo copy --preserve-digests oci-archive:{tarball} docker://{reference}
  crane push {folder} {reference}
(to a registry without TLS: skopeo copy --dest-tls-verify=false, crane push --insecure), then
  kubectl apply -f {with_image}/

docker load and docker push, crane push of the tarball, and skopeo copy of it as docker-archive: \
write a manifest of their
own. Istio takes that too, but `sha256` must then be the digest that the registry says:
  skopeo inspect --format '{{{{.Digest}}}}' docker://{reference}

"
    )
}

/// Reads the layout back as Istio's agent would, once it is in a registry.
fn check(folder: &Path, tag: &str, sha256: &str, module: &[u8]) -> Result<(), Box<dyn Error>> {
    let fetched = fetcher::fetch(&Layout(folder.to_owned()), tag, Some(sha256))
        .map_err(|error| format!("the image in `{}` {error}", folder.display()))?;
    if fetched.module != module {
        return Err(format!(
            "the image in `{}` has another module than the one given",
            folder.display()
        )
        .into());
    }
    Ok(())
}
