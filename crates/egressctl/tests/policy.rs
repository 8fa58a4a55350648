//! The one configuration of a file or folder, for programs that put it in force.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use egressctl::policy;

const PLUGIN_CONFIG: &str = "policies:\n- {name: NAME, hosts: [a.example], defaultAction: Deny}\n";

fn plugin(kind: &str, name: &str) -> String {
    let config = PLUGIN_CONFIG.replace("NAME", name).replace('\n', "\n      ");
    let targets = "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: egress}]";
    let module = format!(
        "url: oci://registry.example.com/egress:1\n    failStrategy: FAIL_RELOAD\n    \
         pluginConfig:\n      {config}"
    );
    let spec = match kind {
        "WasmPlugin" => module.replace("\n    ", "\n  "),
        _ => format!("wasm:\n    {module}"),
    };
    format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: {kind}\nmetadata: {{name: egress, \
         namespace: egress}}\nspec:\n  {targets}\n  phase: AUTHZ\n  {spec}\n"
    )
}

/// The name of the one policy that `check` returns.
fn checked(path: &Path) -> Option<String> {
    let configuration = policy::check(&path.to_string_lossy())?;
    let name = configuration.pointer("/policies/0/name").and_then(|name| name.as_str());
    Some(name.unwrap_or_else(|| panic!("{configuration}")).to_owned())
}

#[test]
fn a_configuration_is_found_alone_and_in_either_resource() {
    let folder = Folder::new("forms");
    for (kind, text) in [
        ("pluginConfig", PLUGIN_CONFIG.replace("NAME", "a")),
        ("WasmPlugin", plugin("WasmPlugin", "a")),
        ("TrafficExtension", plugin("TrafficExtension", "a")),
    ] {
        let file = folder.write("one.yaml", &text);
        assert_eq!(checked(&file).as_deref(), Some("a"), "{kind}:\n{text}");
    }
}

#[test]
fn of_a_folder_the_last_resource_of_a_name_counts_and_other_files_do_not() {
    let folder = Folder::new("folder");
    folder.write("1.yaml", &plugin("WasmPlugin", "first"));
    folder.write("2.yaml", &plugin("WasmPlugin", "second"));
    folder.write("values.yaml", "replicas: 2\n");
    folder.write("notes.txt", "policies");
    assert_eq!(checked(&folder.0).as_deref(), Some("second"));
    assert_eq!(policy::files(&folder.0.to_string_lossy()).expect("a folder").len(), 3);
    // Two of different kinds would both be in force.
    folder.write("3.yaml", &plugin("TrafficExtension", "third"));
    assert_eq!(checked(&folder.0), None);
}

#[test]
fn there_is_none_where_something_is_wrong() {
    let folder = Folder::new("wrong");
    let file = folder.write("one.yaml", &PLUGIN_CONFIG.replace("hosts", "host"));
    assert_eq!(checked(&file), None);
    assert_eq!(checked(Path::new("no/such.yaml")), None);
    assert!(policy::files("no/such.yaml").is_ok(), "a name that is no folder is a file");
}

/// A folder of a test's own, removed at its end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("policy-{name}"));
        // What a test that failed has left.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let file = self.0.join(name);
        std::fs::write(&file, text).expect("a file");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
