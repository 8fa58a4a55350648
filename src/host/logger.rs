//! The `log` crate's messages, to the host's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::{abi, sys};
use crate::printable;

struct Logger;

static LOGGER: Logger = Logger;

/// Sends the messages of the `log` macros to the host, which filters them by its own level.
pub(super) fn install() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => abi::LOG_ERROR,
            Level::Warn => abi::LOG_WARN,
            Level::Info => abi::LOG_INFO,
            Level::Debug => abi::LOG_DEBUG,
            Level::Trace => abi::LOG_TRACE,
        };
        // Some of it is the configuration's, and none of it may break the line or drive a terminal.
        sys::log(level, printable::text(&record.args().to_string()).as_bytes());
    }

    fn flush(&self) {}
}
