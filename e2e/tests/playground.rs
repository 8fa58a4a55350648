//! `make demo POLICY=mine.yaml`: a policy of one's own in a real Envoy, taken up as it is saved.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use e2e::envoy::workspace_root;
use e2e::pki::Pki;

/// How long anything may take: Envoy compiles the filter meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running program, and what it has said so far.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    port: u16,
}

impl Demo {
    fn start(policy: &Path) -> Self {
        Self::start_in(&workspace_root(), policy)
    }

    fn start_in(folder: &Path, policy: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command
            .arg("--checkout")
            .arg(workspace_root())
            .args(["--port", "0", "--policy"])
            .arg(policy)
            .current_dir(folder)
            .env_remove("ORIGIN");
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the demo starts");
        let out = child.stdout.take().expect("its output");
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, said: Vec::new(), port: 0 }
    }

    /// Waits for the waypoint, and takes the port from what is shown of how to call.
    fn await_waypoint(&mut self) {
        let line = self.await_line("curl -x ");
        let port = line.split_once("@localhost:").and_then(|(_, rest)| rest.split(' ').next());
        self.port = port.and_then(|port| port.parse().ok()).expect("a port");
        self.await_line("Ctrl-C ends it");
    }

    /// The next line that has this in it.
    #[track_caller]
    fn await_line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(error) => panic!("no `{part}` ({error}) in\n{}", self.said.join("\n")),
            }
        }
    }

    /// Calls as curl does with `-x USER:PASSWORD@localhost:PORT`; `caller` is base64.
    fn call(&self, caller: &str, line: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the demo listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let credentials = match caller {
            "" => String::new(),
            caller => format!("Proxy-Authorization: Basic {caller}\r\n"),
        };
        let request = format!("{line} HTTP/1.1\r\n{credentials}{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_default(), answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
    }

    /// Ends it as Ctrl-C does.
    fn end(mut self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().expect("kill");
        assert!(status.success());
        assert!(self.child.wait().expect("its end").success());
        self.await_line("The waypoint has ended.");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already unless an assertion failed; then its guard ends Envoy.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `payments:api`
const PAYMENTS: &str = "cGF5bWVudHM6YXBp";
/// `shop:web`
const SHOP: &str = "c2hvcDp3ZWI=";

const CHARGES: &str = "http://api.stripe.com/v1/charges";

fn policy(namespace: &str) -> String {
    format!(
        "policies:
- name: stripe
  hosts: [api.stripe.com, \"*.stripe.example\"]
  traffic:
    authorization:
      policy: {{matchExpressions: ['source.identity.namespace == \"{namespace}\"']}}
    transformation:
      request:
        set: [{{name: X-Caller, value: source.identity.serviceAccount}}]
        remove: [X-Secret]
"
    )
}

fn header(host: &str) -> String {
    format!("Host: {host}\r\nX-Secret: 1\r\nConnection: close\r\n")
}

#[test]
fn a_policy_of_ones_own_is_taken_up_as_it_is_saved_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.yaml");
    // What is broken at the start is waited for.
    std::fs::write(&file, policy("payments").replace("hosts", "host")).expect("a file");
    let mut demo = Demo::start(&file);
    demo.await_line("unknown field `host`");
    demo.await_line("Nothing is in force yet");
    std::fs::write(&file, policy("payments")).expect("a file");
    demo.await_line("is in force: policy stripe");
    demo.await_line("hosts: api.stripe.com, *.stripe.example; any other");
    demo.await_waypoint();

    // Any account can call; the stand-in shows what arrived, the terminal what was decided.
    let get = format!("GET {CHARGES}?x=1");
    let (status, arrived) = demo.call(PAYMENTS, &get, &header("api.stripe.com"));
    assert_eq!(status, 200, "{arrived}");
    assert!(arrived.starts_with("GET /v1/charges?x=1 HTTP/1.1\n"), "{arrived}");
    assert!(arrived.contains("\nx-caller: api\n"), "{arrived}");
    let lower = arrived.to_ascii_lowercase();
    assert!(!lower.contains("x-secret") && !lower.contains("proxy-"), "{arrived}");
    demo.await_line(&format!("payments/api  {get}"));
    demo.await_line("200  allowed, allow-matched, by stripe");
    let record = demo.await_line(r#""event":"egress""#);
    assert!(record.contains("spiffe://cluster.local/ns/payments/sa/api"), "{record}");

    let refused = (403, "authorization failed".to_owned());
    assert_eq!(demo.call(SHOP, &get, &header("api.stripe.com")), refused);
    demo.await_line("403  denied, no-allow-matched");

    // A host of a wildcard, and one of no policy, are there as soon as they are called.
    for (host, caller, expected) in
        [("a.stripe.example", SHOP, 403), ("elsewhere.example", SHOP, 200)]
    {
        let (status, body) = demo.call(caller, &format!("GET http://{host}/"), &header(host));
        assert_eq!(status, expected, "{host}: {body}");
        demo.await_line(&format!("{host} was called for the first time"));
    }
    let forged = demo.call(PAYMENTS, "GET http://elsewhere.example/", &header("api.stripe.com"));
    assert_eq!(forged.0, 403, "the address that was dialled is another host's");
    demo.await_line("denied, host-mismatch");

    // What cannot be called is refused with the way to call.
    let (status, body) = demo.call("", &get, &header("api.stripe.com"));
    assert!(status == 407 && body.contains("curl -x NAMESPACE:ACCOUNT@localhost:"), "{body}");
    let (status, body) = demo.call(PAYMENTS, "CONNECT api.stripe.com:443", "");
    assert!(status == 400 && body.contains("`http://`"), "{body}");
    demo.await_line("not sent on: `api.stripe.com:443`");

    // A change is taken up.
    std::fs::write(&file, policy("shop")).expect("a file");
    demo.await_line("mine.yaml was saved");
    demo.await_line("is in force: policy stripe");
    assert_eq!(demo.call(PAYMENTS, &get, &header("api.stripe.com")), refused);
    assert_eq!(demo.call(SHOP, &get, &header("api.stripe.com")).0, 200);

    // A broken one is not: egressctl says why, and the one before holds.
    std::fs::write(&file, policy("payments").replace("namespace ==", "namespaze =="))
        .expect("a file");
    demo.await_line("(did you mean `source.identity.namespace`?)");
    demo.await_line("the policies in force stay");
    assert_eq!(demo.call(PAYMENTS, &get, &header("api.stripe.com")), refused);
    assert_eq!(demo.call(SHOP, &get, &header("api.stripe.com")).0, 200);
    demo.end();
}

/// A folder with a plugin's resource in it, among other files, and another trust domain.
#[test]
fn a_folder_with_a_plugin_is_played_with_callers_of_its_trust_domain() {
    let folder = tempfile::tempdir().expect("a folder");
    let step = std::fs::read_to_string(workspace_root().join("filter-config/03-policy-rbac.yaml"));
    let text = step.expect("step 3").replace("[cluster.local]", "[prod.example]");
    std::fs::write(folder.path().join("plugin.yaml"), text).expect("a file");
    std::fs::write(folder.path().join("values.yaml"), "replicas: 2\n").expect("a file");
    let mut demo = Demo::start(folder.path());
    demo.await_line("is in force: policy github-api-rbac");
    let example = demo.await_line("curl -x ");
    assert!(example.contains("curl -x team-a:team-a@localhost:"), "{example}");
    demo.port =
        example.split([':', ' ']).filter_map(|part| part.parse().ok()).next().expect("a port");
    // `team-a:team-a`
    let (status, _) =
        demo.call("dGVhbS1hOnRlYW0tYQ==", "GET http://api.github.com/", &header("api.github.com"));
    assert_eq!(status, 200);
    let record = demo.await_line(r#""event":"egress""#);
    assert!(record.contains("spiffe://prod.example/ns/team-a/sa/team-a"), "{record}");
    demo.end();
}

/// RFC 6761: a name below `invalid` never resolves.
#[test]
fn a_real_origin_that_does_not_resolve_is_told_as_that() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, authorities) = (folder.path().join("mine.yaml"), folder.path().join("ca.pem"));
    std::fs::write(&file, policy("payments").replace("api.stripe.com", "api.invalid"))
        .expect("a file");
    std::fs::write(&authorities, Pki::new().origins.certificate_pem()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command
        .args(["--port", "0", "--policy"])
        .arg(&file)
        .current_dir(workspace_root())
        .env("ORIGIN", "real")
        .env("SSL_CERT_FILE", authorities);
    let mut demo = Demo::of(command);
    demo.await_waypoint();
    let (status, body) = demo.call(PAYMENTS, "GET http://api.invalid/", &header("api.invalid"));
    assert!(status == 502 && body.contains("`api.invalid` does not resolve"), "{status} {body}");
    demo.await_line("no response: `api.invalid` does not resolve");
    demo.end();
}

#[test]
fn the_recipes_show_it_as_it_is() {
    let page = std::fs::read_to_string(workspace_root().join("docs/recipes.md")).expect("the page");
    let block = |language: &str| {
        let rest = page.split_once(&format!("```{language}\n")).expect("a block").1;
        rest.split_once("\n```").expect("its end").0.to_owned()
    };
    let (shown, recipe) = (block("text"), block("yaml"));
    let recipe: serde_json::Value = serde_yaml_ng::from_str(&recipe).expect("a file of cases");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("policy.yaml"), recipe["config"].to_string())
        .expect("a file");
    let mut demo = Demo::start_in(folder.path(), Path::new("policy.yaml"));
    demo.await_waypoint();
    let caller = "c29tZWJvZHk6ZWxzZQ=="; // `somebody:else`
    demo.call(caller, "POST http://api.stripe.com/v1/charges", &header("api.stripe.com"));
    demo.await_line(r#""event":"egress""#);
    let said = demo.said.join("\n").replace(&format!("localhost:{}", demo.port), "localhost:8085");
    let said: Vec<&str> = said.lines().collect();
    let shown: Vec<&str> = shown.lines().collect();
    assert_eq!(said.len(), shown.len(), "{said:#?}");
    for (said, shown) in said.into_iter().zip(shown) {
        // The log is elsewhere with a free port, and the record is cut.
        let (begin, _) = shown.split_once(" target/").unwrap_or((shown, ""));
        let begin = begin.strip_suffix(" ...}").unwrap_or(begin);
        assert!(said.starts_with(begin) && (begin != shown || said == shown), "{said}\n{shown}");
    }
    demo.end();
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--port", "0", "--policy", "no/such.yaml"])
        .current_dir(workspace_root())
        .env_remove("ORIGIN")
        .output()
        .expect("the demo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("`no/such.yaml`"), "{said}");
}
