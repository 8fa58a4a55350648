//! Small modules, written in WebAssembly's text form, that make host calls and log what came back.

use std::fmt::Write;

use e2e::host::Module;

/// Where the texts that a probe hands to the host lie in its memory.
const TEXTS: usize = 1024;
/// Where the ids of metrics and the token of the queue are kept.
const METRICS: usize = 512;
const QUEUE: usize = 640;

/// Functions of the host: name and parameters (`i`: i32, `l`: i64).
const IMPORTS: &[(&str, &str)] = &[
    ("add_header_map_value", "iiiii"),
    ("call_foreign_function", "iiiiii"),
    ("close_stream", "i"),
    ("continue_stream", "i"),
    ("define_metric", "iiii"),
    ("dequeue_shared_queue", "iii"),
    ("done", ""),
    ("enqueue_shared_queue", "iii"),
    ("get_buffer_bytes", "iiiii"),
    ("get_header_map_pairs", "iii"),
    ("get_header_map_size", "ii"),
    ("get_header_map_value", "iiiii"),
    ("get_metric", "ii"),
    ("get_property", "iiii"),
    ("get_shared_data", "iiiii"),
    ("get_status", "iii"),
    ("grpc_call", "iiiiiiiiiiii"),
    ("http_call", "iiiiiiiiii"),
    ("increment_metric", "il"),
    ("log", "iii"),
    ("record_metric", "il"),
    ("register_shared_queue", "iii"),
    ("remove_header_map_value", "iii"),
    ("replace_header_map_value", "iiiii"),
    ("resolve_shared_queue", "iiiii"),
    ("send_local_response", "iiiiiiii"),
    ("set_buffer_bytes", "iiiii"),
    ("set_effective_context", "i"),
    ("set_header_map_pairs", "iii"),
    ("set_property", "iiii"),
    ("set_shared_data", "iiiii"),
    ("set_tick_period_milliseconds", "i"),
];

/// The allocator, and a function that logs `<label> <status> <value>` with the value that the words at 0 and 4 point to.
const COMMON: &str = r#"
(memory (export "memory") 16)
(func (export "proxy_abi_version_0_2_1"))
(global $heap (mut i32) (i32.const 131072))
(func (export "proxy_on_memory_allocate") (param i32) (result i32)
  (global.get $heap)
  (global.set $heap (i32.add (global.get $heap) (local.get 0))))
(func $put (param $to i32) (param $from i32) (param $size i32) (result i32)
  (memory.copy (local.get $to) (local.get $from) (local.get $size))
  (i32.add (local.get $to) (local.get $size)))
(func $put_byte (param $to i32) (param $byte i32) (result i32)
  (i32.store8 (local.get $to) (local.get $byte))
  (i32.add (local.get $to) (i32.const 1)))
(func $report (param $label i32) (param $size i32) (param $status i32) (local $end i32)
  (local.set $end (call $put (i32.const 65536) (local.get $label) (local.get $size)))
  (local.set $end (call $put_byte (local.get $end) (i32.const 32)))
  (if (i32.ge_u (local.get $status) (i32.const 10)) (then
    (local.set $end (call $put_byte (local.get $end)
      (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10)))))))
  (local.set $end (call $put_byte (local.get $end)
    (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10)))))
  (local.set $end (call $put_byte (local.get $end) (i32.const 32)))
  (local.set $end (call $put (local.get $end) (i32.load (i32.const 0)) (i32.load (i32.const 4))))
  (drop (call $log (i32.const 2) (i32.const 65536) (i32.sub (local.get $end) (i32.const 65536)))))
"#;

/// A module in the making: what each of its callbacks does. Only callbacks that do something are exported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    texts: Vec<u8>,
    callbacks: Vec<(&'static str, String)>,
    paused: bool,
    /// What `on_configure` does at its end, in place of accepting.
    verdict: Option<String>,
}

/// The host calls of one callback.
#[derive(Debug)]
pub(crate) struct Calls {
    texts: Vec<u8>,
    code: String,
}

/// Compiles a probe.
pub(crate) fn module(probe: &Probe) -> Module {
    let text = probe.text();
    Module::from_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

macro_rules! callbacks {
    ($($method:ident => $name:literal),* $(,)?) => {
        $(pub(crate) fn $method(self, calls: impl FnOnce(Calls) -> Calls) -> Self {
            self.callback($name, calls)
        })*
    };
}

impl Probe {
    callbacks! {
        context_create => "proxy_on_context_create",
        configure => "proxy_on_configure",
        tick => "proxy_on_tick",
        queue_ready => "proxy_on_queue_ready",
        request_headers => "proxy_on_request_headers",
        request_body => "proxy_on_request_body",
        response_headers => "proxy_on_response_headers",
        response_body => "proxy_on_response_body",
        log => "proxy_on_log",
        done => "proxy_on_done",
        delete => "proxy_on_delete",
    }

    /// `on_request_headers` answers that the stream is to wait.
    pub(crate) fn pause(mut self) -> Self {
        self.paused = true;
        self
    }

    /// `on_configure` refuses everything.
    pub(crate) fn refuse(mut self) -> Self {
        self.verdict = Some("(i32.const 0)".to_owned());
        self
    }

    /// `on_configure` refuses what has more bytes.
    pub(crate) fn refuse_longer_than(mut self, size: u32) -> Self {
        self.verdict = Some(format!("(i32.le_u (local.get 1) (i32.const {size}))"));
        self
    }

    /// `on_configure` traps at what has more bytes.
    pub(crate) fn trap_longer_than(mut self, size: u32) -> Self {
        let trap = format!("(if (i32.gt_u (local.get 1) (i32.const {size})) (then unreachable))");
        self.verdict = Some(format!("{trap} (i32.const 1)"));
        self
    }

    fn callback(mut self, name: &'static str, calls: impl FnOnce(Calls) -> Calls) -> Self {
        let done = calls(Calls {
            texts: std::mem::take(&mut self.texts),
            code: String::new(),
        });
        self.texts = done.texts;
        match self.callbacks.iter_mut().find(|(known, _)| *known == name) {
            Some((_, code)) => code.push_str(&done.code),
            None => self.callbacks.push((name, done.code)),
        }
        self
    }

    fn text(&self) -> String {
        let mut text = "(module\n".to_owned();
        for (name, params) in IMPORTS {
            let params = params.replace('i', " i32").replace('l', " i64");
            let kind = format!("(param{params}) (result i32)");
            writeln!(
                text,
                r#"(import "env" "proxy_{name}" (func ${name} {kind}))"#
            )
            .expect("a String takes any text");
        }
        text.push_str(COMMON);
        for (name, code) in &self.callbacks {
            let (params, answer) = match *name {
                "proxy_on_context_create" | "proxy_on_queue_ready" => (2, None),
                "proxy_on_configure" => {
                    (2, Some(self.verdict.as_deref().unwrap_or("(i32.const 1)")))
                }
                "proxy_on_request_headers" if self.paused => (3, Some("(i32.const 1)")),
                "proxy_on_done" => (1, Some("(i32.const 1)")),
                "proxy_on_log" | "proxy_on_delete" | "proxy_on_tick" => (1, None),
                _ => (3, Some("(i32.const 0)")),
            };
            let result = if answer.is_some() { "(result i32)" } else { "" };
            let params = " i32".repeat(params);
            let answer = answer.unwrap_or_default();
            writeln!(
                text,
                r#"(func (export "{name}") (param{params}) {result} {code} {answer})"#
            )
            .expect("a String takes any text");
        }
        let escaped: String = self
            .texts
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        format!("{text}(data (i32.const {TEXTS}) \"{escaped}\"))")
    }
}

impl Calls {
    /// The two words of a text that lies in the probe's memory.
    fn words(&mut self, text: impl AsRef<[u8]>) -> String {
        let at = TEXTS + self.texts.len();
        self.texts.extend_from_slice(text.as_ref());
        format!("(i32.const {at}) (i32.const {})", text.as_ref().len())
    }

    /// Makes a host call and logs what came of it.
    fn report(mut self, label: impl AsRef<str>, call: impl AsRef<str>) -> Self {
        let label = self.words(label.as_ref());
        let call = call.as_ref();
        let clear = "(i64.store (i32.const 0) (i64.const 0))";
        writeln!(self.code, "{clear} (call $report {label} (call ${call}))")
            .expect("a String takes any text");
        self
    }

    /// Logs a text.
    pub(crate) fn say(self, text: &str) -> Self {
        self.log_text(2, text)
    }

    pub(crate) fn log_text(mut self, level: u32, text: &str) -> Self {
        let text = self.words(text);
        writeln!(self.code, "(drop (call $log (i32.const {level}) {text}))")
            .expect("a String takes any text");
        self
    }

    pub(crate) fn log_at(self, level: u32, pointer: u32, size: u32) -> Self {
        self.report(
            "log",
            format!("log (i32.const {level}) (i32.const {pointer}) (i32.const {size})"),
        )
    }

    pub(crate) fn trap(mut self) -> Self {
        self.code.push_str("(unreachable)\n");
        self
    }

    pub(crate) fn spin(mut self) -> Self {
        self.code.push_str("(loop $for_ever (br $for_ever))\n");
        self
    }

    pub(crate) fn get_property(mut self, path: &[&str]) -> Self {
        let words = self.words(path.join("\0"));
        self.report(
            path.join("."),
            format!("get_property {words} (i32.const 0) (i32.const 4)"),
        )
    }

    pub(crate) fn set_property(mut self, path: &[&str], value: &str) -> Self {
        let (key, value) = (self.words(path.join("\0")), self.words(value));
        self.report(
            format!("set {}", path.join(".")),
            format!("set_property {key} {value}"),
        )
    }

    pub(crate) fn get(mut self, map: u32, name: &str) -> Self {
        let words = self.words(name);
        let call =
            format!("get_header_map_value (i32.const {map}) {words} (i32.const 0) (i32.const 4)");
        self.report(format!("get {name}"), call)
    }

    pub(crate) fn add(self, map: u32, name: &str, value: &str) -> Self {
        self.change("add", map, name, value)
    }

    pub(crate) fn replace(self, map: u32, name: &str, value: &str) -> Self {
        self.change("replace", map, name, value)
    }

    fn change(mut self, how: &str, map: u32, name: &str, value: &str) -> Self {
        let (words, value) = (self.words(name), self.words(value));
        self.report(
            format!("{how} {name}"),
            format!("{how}_header_map_value (i32.const {map}) {words} {value}"),
        )
    }

    pub(crate) fn remove(mut self, map: u32, name: &str) -> Self {
        let words = self.words(name);
        self.report(
            format!("remove {name}"),
            format!("remove_header_map_value (i32.const {map}) {words}"),
        )
    }

    pub(crate) fn pairs(self, map: u32) -> Self {
        let call = format!("get_header_map_pairs (i32.const {map}) (i32.const 0) (i32.const 4)");
        self.report(format!("pairs {map}"), call)
    }

    pub(crate) fn set_pairs(mut self, map: u32, bytes: &[u8]) -> Self {
        let words = self.words(bytes);
        self.report(
            format!("set {map}"),
            format!("set_header_map_pairs (i32.const {map}) {words}"),
        )
    }

    /// Logs the word with the size as the value, too.
    pub(crate) fn map_size(mut self, map: u32) -> Self {
        self = self.report(
            format!("size {map}"),
            format!("get_header_map_size (i32.const {map}) (i32.const 16)"),
        );
        let label = self.words("size word");
        let value =
            "(i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 4))";
        writeln!(self.code, "{value} (call $report {label} (i32.const 0))")
            .expect("a String takes any text");
        self
    }

    pub(crate) fn local_reply(
        mut self,
        status: u32,
        details: &str,
        body: &str,
        headers: &[u8],
        grpc: u32,
    ) -> Self {
        let texts = [self.words(details), self.words(body), self.words(headers)].join(" ");
        let call = format!("send_local_response (i32.const {status}) {texts} (i32.const {grpc})");
        self.report("local", call)
    }

    pub(crate) fn continue_stream(self, kind: u32) -> Self {
        self.report(
            format!("continue {kind}"),
            format!("continue_stream (i32.const {kind})"),
        )
    }

    pub(crate) fn close_stream(self, kind: u32) -> Self {
        self.report(
            format!("close {kind}"),
            format!("close_stream (i32.const {kind})"),
        )
    }

    pub(crate) fn get_buffer(self, kind: u32, start: u32, length: u32) -> Self {
        let part = format!("(i32.const {kind}) (i32.const {start}) (i32.const {length})");
        self.report(
            format!("buffer {kind}"),
            format!("get_buffer_bytes {part} (i32.const 0) (i32.const 4)"),
        )
    }

    pub(crate) fn set_buffer(mut self, kind: u32, start: u32, length: u32, data: &str) -> Self {
        let part = format!("(i32.const {kind}) (i32.const {start}) (i32.const {length})");
        let data = self.words(data);
        self.report(
            format!("set buffer {kind}"),
            format!("set_buffer_bytes {part} {data}"),
        )
    }

    pub(crate) fn define(mut self, kind: u32, name: &str, slot: usize) -> Self {
        let (words, at) = (self.words(name), METRICS + slot * 4);
        let call = format!("define_metric (i32.const {kind}) {words} (i32.const {at})");
        self.report(format!("define {name}"), call)
    }

    pub(crate) fn increment(self, slot: usize, by: i64) -> Self {
        let id = metric(slot);
        self.report(
            format!("increment {by}"),
            format!("increment_metric {id} (i64.const {by})"),
        )
    }

    pub(crate) fn record(self, slot: usize, value: i64) -> Self {
        let id = metric(slot);
        self.report(
            format!("record {value}"),
            format!("record_metric {id} (i64.const {value})"),
        )
    }

    pub(crate) fn get_metric(self, slot: usize) -> Self {
        let id = metric(slot);
        self.report("get metric", format!("get_metric {id} (i32.const 16)"))
    }

    /// Uses an id that the host never gave.
    pub(crate) fn unknown_metric(self, id: u32) -> Self {
        self.report(
            format!("increment {id}"),
            format!("increment_metric (i32.const {id}) (i64.const 1)"),
        )
        .report(
            format!("record {id}"),
            format!("record_metric (i32.const {id}) (i64.const 1)"),
        )
    }

    pub(crate) fn get_data(mut self, key: &str) -> Self {
        let words = self.words(key);
        let call = format!("get_shared_data {words} (i32.const 0) (i32.const 4) (i32.const 16)");
        self.report(format!("data {key}"), call)
    }

    pub(crate) fn set_data(mut self, key: &str, value: &str, cas: u32) -> Self {
        let (words, value) = (self.words(key), self.words(value));
        self.report(
            format!("set {key}"),
            format!("set_shared_data {words} {value} (i32.const {cas})"),
        )
    }

    pub(crate) fn register_queue(mut self, name: &str) -> Self {
        let words = self.words(name);
        self.report(
            format!("register {name}"),
            format!("register_shared_queue {words} (i32.const {QUEUE})"),
        )
    }

    pub(crate) fn resolve_queue(mut self, name: &str) -> Self {
        let words = self.words(name);
        let call =
            format!("resolve_shared_queue (i32.const 0) (i32.const 0) {words} (i32.const {QUEUE})");
        self.report(format!("resolve {name}"), call)
    }

    pub(crate) fn enqueue(mut self, item: &str) -> Self {
        let words = self.words(item);
        self.report(
            "enqueue",
            format!("enqueue_shared_queue (i32.load (i32.const {QUEUE})) {words}"),
        )
    }

    pub(crate) fn dequeue(self) -> Self {
        let call = format!(
            "dequeue_shared_queue (i32.load (i32.const {QUEUE})) (i32.const 0) (i32.const 4)"
        );
        self.report("dequeue", call)
    }

    pub(crate) fn tick_period(self, milliseconds: u32) -> Self {
        self.report(
            "tick period",
            format!("set_tick_period_milliseconds (i32.const {milliseconds})"),
        )
    }

    pub(crate) fn http_call(mut self, cluster: &str) -> Self {
        let words = self.words(cluster);
        let rest = " (i32.const 0)".repeat(6);
        self.report(
            "http call",
            format!("http_call {words}{rest} (i32.const 1000) (i32.const 16)"),
        )
    }

    pub(crate) fn grpc_call(mut self, cluster: &str) -> Self {
        let words = self.words(cluster);
        let rest = " (i32.const 0)".repeat(8);
        self.report(
            "grpc call",
            format!("grpc_call {words}{rest} (i32.const 1000) (i32.const 16)"),
        )
    }

    pub(crate) fn foreign(mut self, name: &str) -> Self {
        let words = self.words(name);
        let rest = " (i32.const 0)".repeat(2);
        self.report(
            "foreign",
            format!("call_foreign_function {words}{rest} (i32.const 0) (i32.const 4)"),
        )
    }

    pub(crate) fn done_call(self) -> Self {
        self.report("done", "done")
    }

    pub(crate) fn effective(self, context: u32) -> Self {
        self.report(
            "effective",
            format!("set_effective_context (i32.const {context})"),
        )
    }

    pub(crate) fn status_call(self) -> Self {
        self.report(
            "status",
            "get_status (i32.const 16) (i32.const 0) (i32.const 4)",
        )
    }
}

/// The id that `define` kept in a slot.
fn metric(slot: usize) -> String {
    format!("(i32.load (i32.const {}))", METRICS + slot * 4)
}
