//! Small modules, written in WebAssembly's text form, that make host calls and log what came back.

use std::fmt::Write;

use proxy_wasm_host::Module;

use crate::calls::{Calls, TEXTS};

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
    ("get_current_time_nanoseconds", "i"),
    ("get_header_map_pairs", "iii"),
    ("get_header_map_size", "ii"),
    ("get_header_map_value", "iiiii"),
    ("get_log_level", "i"),
    ("get_metric", "ii"),
    ("get_property", "iiii"),
    ("get_shared_data", "iiiii"),
    ("get_status", "iii"),
    ("get_buffer_status", "iii"),
    ("grpc_call", "iiiiiiiiiiii"),
    ("grpc_cancel", "i"),
    ("grpc_close", "i"),
    ("grpc_send", "iiii"),
    ("grpc_stream", "iiiiiiiii"),
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

/// The allocator, and a function that logs `<label> <status> <value>` with the value that the words
/// at 0 and 4 point to.
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

/// A module in the making: what each of its callbacks does. Only callbacks that do something are
/// exported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    texts: Vec<u8>,
    callbacks: Vec<(&'static str, String)>,
    /// What callbacks return in place of going on.
    results: Vec<(&'static str, u32)>,
    /// What `on_configure` does at its end, in place of accepting.
    verdict: Option<String>,
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
        request_trailers => "proxy_on_request_trailers",
        response_headers => "proxy_on_response_headers",
        response_body => "proxy_on_response_body",
        http_answer => "proxy_on_http_call_response",
        grpc_answer => "proxy_on_grpc_receive",
        grpc_end => "proxy_on_grpc_close",
        log => "proxy_on_log",
        done => "proxy_on_done",
        delete => "proxy_on_delete",
    }

    /// `on_request_headers` answers that the stream is to wait.
    pub(crate) fn pause(self) -> Self {
        self.returns("proxy_on_request_headers", 1)
    }

    /// A callback returns this number.
    pub(crate) fn returns(mut self, name: &'static str, result: u32) -> Self {
        self.results.push((name, result));
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
        let done = calls(Calls::after(std::mem::take(&mut self.texts)));
        self.texts = done.texts;
        match self.callbacks.iter_mut().find(|(known, _)| *known == name) {
            Some((_, code)) => code.push_str(&done.code),
            None => self.callbacks.push((name, done.code)),
        }
        self
    }

    fn result(&self, name: &str, otherwise: u32) -> String {
        let given = self.results.iter().find(|(known, _)| *known == name);
        format!("(i32.const {})", given.map_or(otherwise, |(_, result)| *result))
    }

    pub(crate) fn text(&self) -> String {
        let mut text = "(module\n".to_owned();
        for (name, params) in IMPORTS {
            let params = params.replace('i', " i32").replace('l', " i64");
            let kind = format!("(param{params}) (result i32)");
            writeln!(text, r#"(import "env" "proxy_{name}" (func ${name} {kind}))"#)
                .expect("a String takes any text");
        }
        text.push_str(COMMON);
        for (name, code) in &self.callbacks {
            let (params, answer) = match *name {
                "proxy_on_context_create" | "proxy_on_queue_ready" => (2, None),
                "proxy_on_configure" => {
                    let accept = || "(i32.const 1)".to_owned();
                    (2, Some(self.verdict.clone().unwrap_or_else(accept)))
                }
                "proxy_on_done" => (1, Some(self.result(name, 1))),
                "proxy_on_log" | "proxy_on_delete" | "proxy_on_tick" => (1, None),
                "proxy_on_http_call_response" => (5, None),
                "proxy_on_grpc_receive" | "proxy_on_grpc_close" => (3, None),
                "proxy_on_request_trailers" => (2, Some(self.result(name, 0))),
                _ => (3, Some(self.result(name, 0))),
            };
            let result = if answer.is_some() { "(result i32)" } else { "" };
            let params = " i32".repeat(params);
            let answer = answer.unwrap_or_default();
            writeln!(text, r#"(func (export "{name}") (param{params}) {result} {code} {answer})"#)
                .expect("a String takes any text");
        }
        let escaped: String = self.texts.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("{text}(data (i32.const {TEXTS}) \"{escaped}\"))")
    }
}
