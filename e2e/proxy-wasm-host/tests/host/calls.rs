//! What a probe's callback does, call by call.

use std::fmt::Write;

/// Where the texts that a probe hands to the host lie in its memory.
pub(crate) const TEXTS: usize = 1024;
/// Where the ids of metrics and the token of the queue are kept.
const METRICS: usize = 512;
const QUEUE: usize = 640;

/// The host calls of one callback.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) texts: Vec<u8>,
    pub(crate) code: String,
}

impl Calls {
    /// No calls yet, and the texts of other callbacks.
    pub(crate) fn after(texts: Vec<u8>) -> Self {
        Self { texts, code: String::new() }
    }

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

    pub(crate) fn time(self) -> Self {
        self.word("time", "get_current_time_nanoseconds (i32.const 16)", 8)
    }

    pub(crate) fn level(self) -> Self {
        self.word("level", "get_log_level (i32.const 16)", 4)
    }

    /// Makes a call that writes a number, and logs its bytes.
    fn word(mut self, label: &str, call: &str, size: u32) -> Self {
        let words = self.words(label);
        let value = format!(
            "(i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const {size}))"
        );
        writeln!(self.code, "{value} (call $report {words} (call ${call}))")
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
        self.report(path.join("."), format!("get_property {words} (i32.const 0) (i32.const 4)"))
    }

    pub(crate) fn set_property(mut self, path: &[&str], value: &str) -> Self {
        let (key, value) = (self.words(path.join("\0")), self.words(value));
        self.report(format!("set {}", path.join(".")), format!("set_property {key} {value}"))
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
        self.report(format!("set {map}"), format!("set_header_map_pairs (i32.const {map}) {words}"))
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
        self.report(format!("continue {kind}"), format!("continue_stream (i32.const {kind})"))
    }

    pub(crate) fn close_stream(self, kind: u32) -> Self {
        self.report(format!("close {kind}"), format!("close_stream (i32.const {kind})"))
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
        self.report(format!("set buffer {kind}"), format!("set_buffer_bytes {part} {data}"))
    }

    pub(crate) fn define(mut self, kind: u32, name: &str, slot: usize) -> Self {
        let (words, at) = (self.words(name), METRICS + slot * 4);
        let call = format!("define_metric (i32.const {kind}) {words} (i32.const {at})");
        self.report(format!("define {name}"), call)
    }

    pub(crate) fn increment(self, slot: usize, by: i64) -> Self {
        let id = metric(slot);
        self.report(format!("increment {by}"), format!("increment_metric {id} (i64.const {by})"))
    }

    pub(crate) fn record(self, slot: usize, value: i64) -> Self {
        let id = metric(slot);
        self.report(format!("record {value}"), format!("record_metric {id} (i64.const {value})"))
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
        .report(format!("record {id}"), format!("record_metric (i32.const {id}) (i64.const 1)"))
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

    /// Logs the callback's parameters behind the context's own number.
    pub(crate) fn parameters(mut self, label: &str, count: usize) -> Self {
        for at in 1..=count {
            let words = self.words(format!("{label} {at}:"));
            let clear = "(i64.store (i32.const 0) (i64.const 0))";
            writeln!(self.code, "{clear} (call $report {words} (local.get {at}))")
                .expect("a String takes any text");
        }
        self
    }

    /// A body callback goes on, whatever it answers otherwise, where this is the last piece.
    pub(crate) fn ends_at_end(mut self) -> Self {
        self.code.push_str("(if (local.get 2) (then (return (i32.const 0))))\n");
        self
    }

    /// A whole HTTP call, with its headers as the ABI serialises them.
    pub(crate) fn http_call_to(
        mut self,
        cluster: &str,
        headers: &[(&str, &str)],
        body: &str,
        timeout: u32,
    ) -> Self {
        let texts = [
            self.words(cluster),
            self.words(serialised(headers)),
            self.words(body),
            self.words(serialised(&[])),
        ];
        let call = format!("http_call {} (i32.const {timeout}) (i32.const 16)", texts.join(" "));
        self.report("http call", call)
    }

    /// A whole gRPC call; the target is a cluster's name or a serialised `GrpcService`.
    pub(crate) fn grpc_call_to(mut self, target: &[u8], message: &str, timeout: u32) -> Self {
        let texts = [
            self.words(target),
            self.words("envoy.service.auth.v3.Authorization"),
            self.words("Check"),
            self.words(serialised(&[("x-meta", "1")])),
            self.words(message),
        ];
        let call = format!("grpc_call {} (i32.const {timeout}) (i32.const 16)", texts.join(" "));
        self.report("grpc call", call)
    }

    pub(crate) fn grpc_cancel(self, token: u32) -> Self {
        self.report("cancel", format!("grpc_cancel (i32.const {token})"))
    }

    pub(crate) fn grpc_close(self, token: u32) -> Self {
        self.report("grpc close", format!("grpc_close (i32.const {token})"))
    }

    pub(crate) fn grpc_stream(mut self, target: &str) -> Self {
        let words = self.words(target);
        let rest = " (i32.const 0)".repeat(6);
        self.report("grpc stream", format!("grpc_stream {words}{rest} (i32.const 16)"))
    }

    pub(crate) fn grpc_send(self, token: u32) -> Self {
        let rest = " (i32.const 0)".repeat(3);
        self.report("grpc send", format!("grpc_send (i32.const {token}){rest}"))
    }

    pub(crate) fn http_call(mut self, cluster: &str) -> Self {
        let words = self.words(cluster);
        let rest = " (i32.const 0)".repeat(6);
        self.report("http call", format!("http_call {words}{rest} (i32.const 1000) (i32.const 16)"))
    }

    pub(crate) fn grpc_call(mut self, cluster: &str) -> Self {
        let words = self.words(cluster);
        let rest = " (i32.const 0)".repeat(8);
        self.report("grpc call", format!("grpc_call {words}{rest} (i32.const 1000) (i32.const 16)"))
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
        self.report("effective", format!("set_effective_context (i32.const {context})"))
    }

    pub(crate) fn status_call(self) -> Self {
        self.report("status", "get_status (i32.const 16) (i32.const 0) (i32.const 4)")
    }
}

/// The id that `define` kept in a slot.
fn metric(slot: usize) -> String {
    format!("(i32.load (i32.const {}))", METRICS + slot * 4)
}

/// Headers as the ABI serialises them.
pub(crate) fn serialised(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = (headers.len() as u32).to_le_bytes().to_vec();
    for (name, value) in headers {
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (name, value) in headers {
        bytes.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    bytes
}
